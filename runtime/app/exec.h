#ifndef DAVIT_RUNTIME_APP_EXEC_H_
#define DAVIT_RUNTIME_APP_EXEC_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit {

// A command to run beside an app: in its mount namespace, cgroup, user,
// capabilities, seccomp filter and limits (those of the app's plan: the same
// code applies them), never with more. With an empty `app`, in the pod's own
// systemd's world (machines).
struct ExecRequest {
  std::string app;
  // A login session of this user instead, in a unit of its own, and by PAM
  // where the pod has the service "login" (pam.d(5)); `app` is empty then. An
  // empty argv is the user's login shell.
  std::string login_user;
  std::vector<std::string> argv;  // argv[0] is looked up in the app's $PATH
  std::vector<std::string> env;   // added to the app's
  bool tty = false;               // a pty of the pod; stderr is part of stdout
  bool stdin_open = false;        // else /dev/null
  unsigned rows = 24, columns = 80;
};

// A running command. The descriptors belong to the session, are non-blocking
// and O_CLOEXEC. Not thread-safe, except Resize and Kill.
class ExecSession {
 public:
  // Ends the command (SIGKILL to all of it) if it still runs.
  virtual ~ExecSession() = default;

  virtual int stdin_fd() const = 0;   // -1 when closed or not open
  virtual int stdout_fd() const = 0;  // the pty's master with a tty
  virtual int stderr_fd() const = 0;  // -1 with a tty
  virtual void CloseStdin() = 0;
  virtual absl::Status Resize(unsigned rows, unsigned columns) = 0;
  virtual absl::Status Kill(int signal) = 0;

  // Exit code, 128 + signal when signaled. 126/127 with NotFound-like message
  // in an error Status (NotFound, PermissionDenied: names the command) when it
  // could not be executed. Readable side: wait_fd() polls readable at the end.
  virtual int wait_fd() const = 0;
  virtual absl::StatusOr<int> Wait(absl::Duration timeout) = 0;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_EXEC_H_
