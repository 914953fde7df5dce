#ifndef DAVIT_RUNTIME_BOOT_INSIDE_BECOME_INIT_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_BECOME_INIT_H_

#include "absl/status/status.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// Enters the payload cgroup and the network namespace `netns` (-1: stays) and
// resets what a process inherits from the agent: limits, OOM score, login.
absl::Status JoinPod(const LaunchPlan& plan, int netns);

// With the pod's tree as "/": host name, session keyring, console; then tells
// the shim that all is made, waits for its word and executes the pod's init
// with the capabilities and the filter of the plan. Returns only on error.
absl::Status BecomeInit(const LaunchPlan& plan, Channel& shim);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_BECOME_INIT_H_
