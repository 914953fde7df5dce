#ifndef DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/inside/fs_steps.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// What a pod's tree has of the host's, as mounts that are attached nowhere and
// cut off from those that they are copies of: nothing that happens in one is
// seen in the other.
struct HostParts {
  UniqueFd root;  // plan.root with what is mounted below it
  HostMounts mounts;
};

// Takes hold of them, while the caller sees the host's tree. Binds are mapped
// by `userns`, unless that is -1.
absl::StatusOr<HostParts> OpenHostParts(const LaunchPlan& plan, int userns);

// Leaves the host's mount namespace for a new one with nothing in it: a copy of
// `bare` (bare_mounts.h).
absl::Status EnterBareMounts(int bare);

// Makes the root of `parts` the root of the mount namespace, and of all
// processes in it, with everything that plan.steps say. FailedPrecondition if
// the root is read-only.
absl::Status BuildTree(const LaunchPlan& plan, const HostParts& parts,
                       Channel& shim);

// systemd leaves propagation to the manager in containers; without it new
// mounts never reach sandboxed services that run already (EE8).
absl::Status ShareTree();

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_BUILD_TREE_H_
