#include "runtime/boot/shim_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/plan_codec.h"

namespace davit {
namespace {

absl::StatusOr<UniqueFd> OpenPidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return ErrnoError("pidfd_open(%d)", pid);
  return fd;
}

// True once `fd` is readable; false after the deadline.
absl::StatusOr<bool> AwaitReadable(int fd, absl::Time deadline) {
  while (true) {
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
    pollfd event = {fd, POLLIN, 0};
    int n = poll(&event, 1,
                 static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    if (n < 0 && errno != EINTR) return ErrnoError("poll");
    if (n > 0) return true;
    if (absl::Now() >= deadline) return false;
  }
}

}  // namespace

absl::StatusOr<ShimProcess> ShimProcess::Start(const std::string& shim_path,
                                               const std::string& pod_id,
                                               int bare_mounts,
                                               const std::vector<int>& listen,
                                               int cgroup) {
  UniqueFd file(memfd_create("launch-plan", MFD_CLOEXEC));
  if (!file) return ErrnoError("memfd_create");
  ASSIGN_OR_RETURN(auto sockets, MakePacketPair());
  SubprocessSpec spec;
  spec.path = shim_path;
  spec.argv = {"davit-shim", pod_id};  // for ps(1)
  spec.fds = {{file.get(), kPlanFdOfShim},
              {sockets.second.get(), kClientFdOfShim},
              {bare_mounts, kBareMountsFdOfShim}};
  int number = kFirstListenFdOfShim;
  for (int fd : listen) spec.fds.push_back({fd, number++});
  spec.cgroup_fd = cgroup;
  ASSIGN_OR_RETURN(pid_t pid, StartDetached(spec), "start shim");
  // Not reaped yet, so the pid is still the child's.
  absl::StatusOr<UniqueFd> pidfd = OpenPidfd(pid);
  if (!pidfd.ok()) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return pidfd.status();
  }
  ShimProcess shim(std::move(sockets.first), *std::move(pidfd));
  shim.plan_file_ = std::move(file);
  shim.child_ = pid;
  return shim;
}

absl::Status ShimProcess::SendPlan(const LaunchPlan& plan) {
  RETURN_IF_ERROR(WriteAll(plan_file_.get(), EncodeLaunchPlan(plan)));
  // The offset is the shim's too.
  if (lseek(plan_file_.get(), 0, SEEK_SET) < 0) return ErrnoError("lseek");
  plan_file_.Reset();
  // A shim that has ended already is told of by AwaitState.
  SendPacket(socket_.get(), kPlanIsReady).IgnoreError();
  return absl::OkStatus();
}

absl::StatusOr<ShimProcess> ShimProcess::Connect(
    const std::string& socket_path) {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectForPackets(socket_path));
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) <
      0) {
    return ErrnoError("getsockopt(SO_PEERCRED)");
  }
  ASSIGN_OR_RETURN(UniqueFd pidfd, OpenPidfd(credentials.pid));
  return ShimProcess(std::move(socket), std::move(pidfd));
}

ShimProcess::~ShimProcess() {
  if (child_ == 0) return;
  syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info = {};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 &&
         errno == EINTR) {
  }
}

absl::StatusOr<ShimState> ShimProcess::AwaitState(absl::Duration timeout) {
  ASSIGN_OR_RETURN(bool readable,
                   AwaitReadable(socket_.get(), absl::Now() + timeout));
  if (!readable) {
    return absl::DeadlineExceededError(absl::StrCat(
        "shim has said nothing for ", absl::FormatDuration(timeout)));
  }
  absl::StatusOr<std::string> packet = ReceivePacket(socket_.get());
  if (!packet.ok()) {
    return absl::AbortedError("shim has ended without a word");
  }
  ASSIGN_OR_RETURN(ShimState state, DecodeShimState(*packet));
  RETURN_IF_ERROR(state.failure);
  return state;
}

absl::Status ShimProcess::Attach(int console) {
  return SendPacketWithFd(
      socket_.get(), EncodeShimCommand({.kind = ShimCommand::Kind::kAttach}),
      console);
}

absl::Status ShimProcess::AwaitEnd(absl::Duration timeout) const {
  ASSIGN_OR_RETURN(bool ended,
                   AwaitReadable(pidfd_.get(), absl::Now() + timeout));
  if (ended) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("shim has not ended after ", absl::FormatDuration(timeout)));
}

ShimProcess::Parts ShimProcess::Release() && {
  child_ = 0;
  return {std::move(socket_), std::move(pidfd_)};
}

void ReapIfChild(int pidfd) {
  siginfo_t info = {};
  waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
}

absl::Status KillProcess(const ProcessIdentity& identity,
                         absl::Duration timeout) {
  absl::StatusOr<ProcessHandle> process = ProcessHandle::Open(identity);
  if (absl::IsNotFound(process.status())) return absl::OkStatus();
  RETURN_IF_ERROR(process.status());
  absl::Status sent = process->Signal(SIGKILL);
  if (!absl::IsNotFound(sent)) RETURN_IF_ERROR(sent);
  RETURN_IF_ERROR(process->WaitForExit(timeout));
  ReapIfChild(process->pidfd());
  return absl::OkStatus();
}

}  // namespace davit
