#include "runtime/app/launcher/connect.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/sandbox/capabilities.h"

namespace davit {
namespace {

constexpr sockaddr_un kAddress = {AF_UNIX, "/run/systemd/private"};
constexpr unsigned kDeadlineSeconds = 10;

// After this our root directory is the pod's, so paths cannot lead elsewhere.
absl::Status EnterPod() {
  if (setns(kConnectPidfd, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
                               CLONE_NEWNET | CLONE_NEWCGROUP) < 0) {
    return ErrnoError("setns(namespaces of the pod)");
  }
  if (setns(kConnectPidfd, CLONE_NEWPID) < 0) {
    return ErrnoError("setns(CLONE_NEWPID)");
  }
  // Last: the network may belong to somebody above the pod's users. EINVAL: it
  // is our own user namespace.
  if (setns(kConnectPidfd, CLONE_NEWUSER) < 0 && errno != EINVAL) {
    return ErrnoError("setns(CLONE_NEWUSER)");
  }
  return absl::OkStatus();
}

absl::Status GiveUpEverything() {
  if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
    return ErrnoError("setresuid(0)");
  }
  RETURN_IF_ERROR(LimitCapabilities(0));
  RETURN_IF_ERROR(SetProcessCapabilities(0, 0, 0));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return ErrnoError("prctl(PR_SET_NO_NEW_PRIVS)");
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
    return ErrnoError("prctl(PR_SET_DUMPABLE)");
  }
  close(kConnectPidfd);
  return absl::OkStatus();
}

absl::Status ConnectInChild() {
  pid_t child = fork();
  if (child < 0) return ErrnoError("fork");
  if (child == 0) {
    alarm(kDeadlineSeconds);
    int result =
        connect(kConnectSocketFd, reinterpret_cast<const sockaddr*>(&kAddress),
                sizeof(kAddress));
    _exit(result == 0 ? 0 : errno);
  }
  int status;
  if (waitpid(child, &status, 0) < 0) return ErrnoError("waitpid");
  if (WIFEXITED(status)) {
    if (WEXITSTATUS(status) == 0) return absl::OkStatus();
    return ErrorNumber(WEXITSTATUS(status), "connect(%s)", kAddress.sun_path);
  }
  return absl::DeadlineExceededError(
      absl::StrCat("connect(", kAddress.sun_path, "): timed out"));
}

absl::Status Connect() {
  RETURN_IF_ERROR(EnterPod());
  RETURN_IF_ERROR(GiveUpEverything());
  return ConnectInChild();
}

}  // namespace

int ConnectToPod() {
  absl::Status status = Connect();
  if (status.ok()) return 0;
  WriteAll(STDERR_FILENO, status.message()).IgnoreError();
  return 1;
}

}  // namespace davit
