#ifndef DAVIT_TESTS_SUPPORT_SLOWDOWN_H_
#define DAVIT_TESTS_SUPPORT_SLOWDOWN_H_

#include <stdlib.h>

#include <algorithm>

#include "absl/time/time.h"

namespace davit::testing {

// `limit`, which is right for a bare machine, on the one that we run on:
// DAVIT_TEST_SLOWDOWN (a factor, default 1) is set where the processor is
// emulated. For limits of waits only, never for sleeps.
inline absl::Duration Patience(absl::Duration limit) {
  const char* factor = getenv("DAVIT_TEST_SLOWDOWN");
  return limit * std::max(1.0, factor == nullptr ? 1.0 : atof(factor));
}

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_SLOWDOWN_H_
