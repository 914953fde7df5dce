#ifndef DAVIT_RUNTIME_BOOT_SHIM_PROCESS_H_
#define DAVIT_RUNTIME_BOOT_SHIM_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/process_id.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim_state.h"

namespace davit {

// A davit-shim and our connection to it, until its first word.
class ShimProcess {
 public:
  struct Parts {
    UniqueFd socket;
    UniqueFd pidfd;
  };

  // Executes the shim for a pod, with a bare mount namespace (bare_mounts.h)
  // and the descriptors that its PID 1 shall have; it waits for its plan.
  // Starts in the v2 cgroup whose directory is open as `cgroup`; -1 is ours. It
  // is then our child: destroyed before Release(), it is killed and reaped.
  static absl::StatusOr<ShimProcess> Start(const std::string& shim_path,
                                           const std::string& pod_id,
                                           int bare_mounts,
                                           const std::vector<int>& listen = {},
                                           int cgroup = -1);
  // Connects to one that runs. Unavailable or NotFound if none answers.
  static absl::StatusOr<ShimProcess> Connect(const std::string& socket_path);

  ShimProcess(ShimProcess&& other) noexcept
      : socket_(std::move(other.socket_)),
        pidfd_(std::move(other.pidfd_)),
        plan_file_(std::move(other.plan_file_)),
        child_(std::exchange(other.child_, 0)) {}
  ~ShimProcess();

  // Its pid; only for one that was started here.
  pid_t child() const { return child_; }
  // Tells a started shim what to do; it begins at once.
  absl::Status SendPlan(const LaunchPlan& plan);

  // Its state once the pod's init has been exec'ed. A failed start gives the
  // failed step's status; Aborted if the shim ended without a word;
  // DeadlineExceeded.
  absl::StatusOr<ShimState> AwaitState(absl::Duration timeout);
  // Asks it to show the console on the stream socket `console`.
  absl::Status Attach(int console);
  // Waits for the end of the process. DeadlineExceeded.
  absl::Status AwaitEnd(absl::Duration timeout) const;

  // Gives the connection and the process away.
  Parts Release() &&;

 private:
  ShimProcess(UniqueFd socket, UniqueFd pidfd)
      : socket_(std::move(socket)), pidfd_(std::move(pidfd)) {}

  UniqueFd socket_;
  UniqueFd pidfd_;
  UniqueFd plan_file_;  // shared with a child
  pid_t child_ = 0;
};

// Reaps the process of `pidfd` if it has ended and is a child of ours.
void ReapIfChild(int pidfd);

// Kills a process, waits for its end and reaps it if it is ours. OK if it is
// gone already.
absl::Status KillProcess(const ProcessIdentity& identity,
                         absl::Duration timeout);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_PROCESS_H_
