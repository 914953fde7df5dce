#ifndef DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_

#include "absl/status/status.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// Cuts the caller's mount namespace off from the host's: nothing that happens
// here reaches the host, nor the other way round.
absl::Status SeparateMounts();

// Makes plan.root the root of the mount namespace, and of all processes in it,
// with everything that plan.steps say. Binds from the host are mapped by
// `userns`, unless that is -1. FailedPrecondition if the root is read-only.
absl::Status BuildTree(const LaunchPlan& plan, int userns, Channel& shim);

// systemd leaves propagation to the manager in containers; without it new
// mounts never reach sandboxed services that run already (EE8).
absl::Status ShareTree();

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_
