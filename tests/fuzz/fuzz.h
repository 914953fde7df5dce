#ifndef DAVIT_TESTS_FUZZ_FUZZ_H_
#define DAVIT_TESTS_FUZZ_FUZZ_H_

#include <stdio.h>
#include <stdlib.h>

// What must hold for any input; libFuzzer takes an abort for a finding.
#define FUZZ_CHECK(condition)                                                 \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                \
    }                                                                         \
  } while (false)

#endif  // DAVIT_TESTS_FUZZ_FUZZ_H_
