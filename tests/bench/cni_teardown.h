#ifndef DAVIT_TESTS_BENCH_CNI_TEARDOWN_H_
#define DAVIT_TESTS_BENCH_CNI_TEARDOWN_H_

#include <string>

namespace davit::testing {

// Wall times in milliseconds of taking the network from some pods.
struct TeardownTimes {
  double one_by_one = 0;  // PodNetwork::Detach for each
  double at_once = 0;     // PodNetwork::DetachMany
};

// Attaches `pods` pods to a ptp network with masquerading through our CNI
// runtime and detaches them, both ways. `directory` is an empty one of the
// caller's; `plugin_dir` has the plugins. In the calling thread's network and
// mount namespaces.
TeardownTimes MeasureTeardown(const std::string& directory,
                              const std::string& plugin_dir, int pods);

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_CNI_TEARDOWN_H_
