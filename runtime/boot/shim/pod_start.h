#ifndef DAVIT_RUNTIME_BOOT_SHIM_POD_START_H_
#define DAVIT_RUNTIME_BOOT_SHIM_POD_START_H_

#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/process_id.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/launcher.h"

namespace davit {

// A pod whose init has been exec'ed, with what the shim holds of it.
struct StartedPod {
  ProcessIdentity init;
  UniqueFd pidfd;    // readable when PID 1 has ended; it is our child
  UniqueFd console;  // master of /dev/console, non-blocking
  UniqueFd notify;
  UniqueFd fifo;                  // only held open
  std::vector<UniqueFd> ttys;     // masters of further ptys, non-blocking
  std::vector<BootPhase> phases;  // "clone", "mounts", "exec"
};

// Clones the pod's PID 1, sees it through its set-up, puts the device policy on
// its cgroup and lets it exec. The calling process must be single-threaded and
// have kBareMountsFdOfShim open, which is closed; it loses the descriptors of
// plan.listen_fds to the pod. On error the child is
// gone and reaped, and plan.unix_export may be left mounted; the status is the
// failed step's own.
absl::StatusOr<StartedPod> StartPod(const LaunchPlan& plan);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_POD_START_H_
