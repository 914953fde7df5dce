#ifndef DAVIT_TESTS_BENCH_STEAL_H_
#define DAVIT_TESTS_BENCH_STEAL_H_

#include <stdint.h>

namespace davit::testing {

// Milliseconds, in steps of ten, for which something on this machine could have
// run, but the hypervisor ran another machine; since boot, of all processors
// ("steal", proc_stat(5)). Ends the program if the kernel does not tell.
//
// Where it grows, a figure says nothing about the program that was measured: on
// a virtual machine with neighbours the same work takes up to three times as
// long for seconds at a time.
int64_t StolenMilliseconds();

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_STEAL_H_
