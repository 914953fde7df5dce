#ifndef DAVIT_TESTS_BENCH_BENCH_PODS_H_
#define DAVIT_TESTS_BENCH_BENCH_PODS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/e2e/test_node.h"

namespace davit::testing {

inline constexpr char kBusybox[] = "localhost/davit/busybox:latest";
inline constexpr char kStage1[] = "localhost/davit/stage1:latest";
inline constexpr char kMachine[] = "localhost/davit/machine:latest";

// The phases of a pod's last start (status.startPhases of `pod`, as davitctl
// prints it) in their order, in milliseconds.
std::vector<std::pair<std::string, double>> StartPhases(
    const nlohmann::json& pod);

// From RunPod's arrival to the end of phase `last`: all phases up to it.
double MillisecondsTo(const std::string& last, const nlohmann::json& pod);

// The directory of a node's one-layer image: what a peer may boot.
std::string RootOfImage(const TestNode& node, const std::string& image);

// Memory of processes together, in KiB: each one's proportional share
// (smaps_rollup's Pss; proc(5)). Processes that have ended count 0.
long PssOf(const std::vector<pid_t>& pids);

// The pod's processes, from its PID 1 on: those in its cgroups but the shim.
std::vector<pid_t> ProcessesOf(const nlohmann::json& pod);

// The shim of the pod: the parent of its PID 1.
pid_t ShimOf(const nlohmann::json& pod);

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_BENCH_PODS_H_
