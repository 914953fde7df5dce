#ifndef DAVIT_RUNTIME_BOOT_INSIDE_FS_STEPS_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_FS_STEPS_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/inside/pod_root.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// What kHostBind and kHostMount steps attach, by the step's index.
using HostMounts = std::map<size_t, UniqueFd>;

// Takes hold of what comes from the host, while its tree is still there; the
// ids of binds are mapped by `userns`, unless that is -1. What is read-only for
// the pod may come unmapped if its file system cannot map ids: then it is
// everybody else's. NotFound names a source that does not exist.
absl::StatusOr<HostMounts> OpenHostMounts(const std::vector<FsStep>& steps,
                                          int userns);

// Performs all steps, in order, below `root`, which must be the calling
// process's "/". Sends the console, notify socket and fifos to the shim. Errors
// name the step and its target.
absl::Status ApplyFsSteps(const std::vector<FsStep>& steps, const PodRoot& root,
                          const HostMounts& host_mounts, Channel& shim);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_FS_STEPS_H_
