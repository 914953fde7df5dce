#ifndef DAVIT_RUNTIME_APP_EXEC_SESSION_H_
#define DAVIT_RUNTIME_APP_EXEC_SESSION_H_

#include <sys/types.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/exec.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/pod_bus.h"

namespace davit {

// PodApps::Exec over an open connection: starts `davit-app exec` as a transient
// service of the pod and hands it the plan and the streams over a socket of its
// own. `main_pid` is the app's in the pod's pid namespace (0 with no app).
// Returns once the command has been executed. What comes back is small
// datagrams; the pty's master and our ends of the pipes never enter the pod, so
// nothing there can change their flags.
//
// With a tty, CloseStdin sends end-of-file (^D), and a read of stdout_fd()
// gives EIO at the end, as terminals do.
absl::StatusOr<std::unique_ptr<ExecSession>> StartExec(
    PodBus& bus, const PodRef& pod, const ExecRequest& request, pid_t main_pid,
    absl::Time deadline);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_EXEC_SESSION_H_
