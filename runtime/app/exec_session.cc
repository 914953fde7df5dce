#include "runtime/app/exec_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "runtime/app/app.h"
#include "runtime/app/plan_codec.h"
#include "runtime/app/pod_tree.h"
#include "runtime/app/systemd_calls.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

// Our ends of a command's streams; with a tty `in` is a duplicate of `out`.
struct Streams {
  UniqueFd in, out, err;
};

struct BothEnds {
  Streams ours;
  std::vector<UniqueFd> theirs;  // in the order of ExecJob
};

int TimeoutUntil(absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) return -1;
  absl::Duration left = deadline - absl::Now();
  return static_cast<int>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))), 0,
      1 << 30));
}

absl::Status SetSize(int master, unsigned rows, unsigned columns) {
  if (rows > UINT16_MAX || columns > UINT16_MAX) {
    return absl::InvalidArgumentError(
        absl::StrFormat("terminal size %u x %u is too large", columns, rows));
  }
  winsize size = {};
  size.ws_row = static_cast<uint16_t>(rows);
  size.ws_col = static_cast<uint16_t>(columns);
  if (ioctl(master, TIOCSWINSZ, &size) < 0) return ErrnoError("TIOCSWINSZ");
  return absl::OkStatus();
}

// What a login session needs to know of the pod.
struct Login {
  std::string pam_name;  // empty: the pod has no such service
  uint32_t uid = 0;      // in the pod
};

absl::StatusOr<Login> PrepareLogin(const PodRef& pod, const std::string& user) {
  Login login;
  ASSIGN_OR_RETURN(PodTree root, PodTree::Open(pod));
  constexpr size_t kEnough = 1;
  if (root.ReadFile("etc/pam.d/login", kEnough).ok()) login.pam_name = "login";
  // One that only nss(5) knows has a terminal that stays root's: systemd, which
  // has the last word on users, asks more than this file.
  absl::StatusOr<uint32_t> uid = root.FindUser(user);
  if (uid.ok()) login.uid = *uid;
  return login;
}

absl::StatusOr<BothEnds> OpenTerminal(const PodRef& pod,
                                      const ExecRequest& request,
                                      uint32_t uid) {
  ASSIGN_OR_RETURN(PodTree root, PodTree::Open(pod));
  ASSIGN_OR_RETURN(PodTree::Pty pty, root.OpenPty(uid), "terminal");
  RETURN_IF_ERROR(SetSize(pty.master.get(), request.rows, request.columns));
  BothEnds ends;
  if (request.stdin_open) {
    ends.ours.in = UniqueFd(fcntl(pty.master.get(), F_DUPFD_CLOEXEC, 3));
    if (!ends.ours.in) return ErrnoError("fcntl(pty, F_DUPFD_CLOEXEC)");
  }
  ends.ours.out = std::move(pty.master);
  ends.theirs.push_back(std::move(pty.slave));
  return ends;
}

// {reading end, writing end}; O_NONBLOCK on the one that stays with us.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> OpenPipe(bool we_read) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  std::pair<UniqueFd, UniqueFd> pipe(ends[0], ends[1]);
  if (fcntl(ends[we_read ? 0 : 1], F_SETFL, O_NONBLOCK) < 0) {
    return ErrnoError("fcntl(pipe, O_NONBLOCK)");
  }
  return pipe;
}

absl::StatusOr<BothEnds> OpenPipes(const ExecRequest& request) {
  BothEnds ends;
  if (request.stdin_open) {
    ASSIGN_OR_RETURN(auto in, OpenPipe(false));
    ends.ours.in = std::move(in.second);
    ends.theirs.push_back(std::move(in.first));
  }
  for (UniqueFd* ours : {&ends.ours.out, &ends.ours.err}) {
    ASSIGN_OR_RETURN(auto pipe, OpenPipe(true));
    *ours = std::move(pipe.first);
    ends.theirs.push_back(std::move(pipe.second));
  }
  return ends;
}

// The plan as a file: a datagram would bound its size.
absl::StatusOr<UniqueFd> PlanFile(const ExecRequest& request, pid_t main_pid) {
  UniqueFd fd(memfd_create("davit-exec-plan", MFD_CLOEXEC));
  if (!fd) return ErrnoError("memfd_create");
  RETURN_IF_ERROR(WriteAll(
      fd.get(), EncodeExecPlan({.app = request.app,
                                .main_pid = main_pid,
                                .argv = request.argv,
                                .env = request.env,
                                .tty = request.tty,
                                .stdin_open = request.stdin_open,
                                .login = !request.login_user.empty()})));
  if (lseek(fd.get(), 0, SEEK_SET) < 0) return ErrnoError("lseek(exec plan)");
  return fd;
}

absl::Status SendDescriptors(int channel, const std::vector<UniqueFd>& fds) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  size_t size = numbers.size() * sizeof(int);
  std::vector<char> control(CMSG_SPACE(size));
  char byte = 'x';
  iovec data = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(part), numbers.data(), size);
  if (sendmsg(channel, &message, MSG_NOSIGNAL) < 0) {
    return ErrnoError("sendmsg(exec channel)");
  }
  return absl::OkStatus();
}

// The next reply of davit-app. Unavailable at the end of the channel.
absl::StatusOr<ExecReply> ReceiveReply(int channel, absl::Time deadline) {
  pollfd event = {channel, POLLIN, 0};
  for (;;) {
    int ready = poll(&event, 1, TimeoutUntil(deadline));
    if (ready < 0 && errno != EINTR) return ErrnoError("poll(exec channel)");
    if (ready == 0)
      return absl::DeadlineExceededError("the command still runs");
    if (ready > 0) break;
  }
  char buffer[kMaxExecReply + 1];
  ssize_t size = recv(channel, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (size < 0 && errno != ECONNRESET) return ErrnoError("recv(exec channel)");
  if (size <= 0) {
    return absl::UnavailableError("davit-app in the pod went away");
  }
  return DecodeExecReply(absl::string_view(buffer, static_cast<size_t>(size)));
}

int ExitCode(int wait_status) {
  if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status);
  return WEXITSTATUS(wait_status);
}

class PodExecSession : public ExecSession {
 public:
  PodExecSession(UniqueFd channel, Streams streams, bool tty)
      : channel_(std::move(channel)), streams_(std::move(streams)), tty_(tty) {}

  int stdin_fd() const override { return streams_.in.get(); }
  int stdout_fd() const override { return streams_.out.get(); }
  int stderr_fd() const override { return streams_.err.get(); }
  int wait_fd() const override { return channel_.get(); }

  void CloseStdin() override {
    constexpr char kEndOfFile = 'D' & 0x1f;
    if (tty_ && streams_.in) {
      // Best effort: a full terminal has a reader that does not read.
      [[maybe_unused]] ssize_t written =
          write(streams_.in.get(), &kEndOfFile, 1);
    }
    streams_.in.Reset();
  }

  absl::Status Resize(unsigned rows, unsigned columns) override {
    if (!tty_) {
      return absl::FailedPreconditionError("the command has no terminal");
    }
    return SetSize(streams_.out.get(), rows, columns);
  }

  absl::Status Kill(int signal) override {
    std::string bytes = EncodeExecSignal(signal);
    RETURN_IF_ERROR(DecodeExecSignal(bytes).status());
    if (send(channel_.get(), bytes.data(), bytes.size(),
             MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      if (errno == EPIPE || errno == ECONNRESET) {
        return absl::NotFoundError("the command has ended");
      }
      return ErrnoError("send(exec channel)");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int> Wait(absl::Duration timeout) override {
    if (result_.has_value()) return *result_;
    absl::StatusOr<ExecReply> reply =
        ReceiveReply(channel_.get(), absl::Now() + timeout);
    if (absl::IsDeadlineExceeded(reply.status())) return reply.status();
    result_ = Result(reply);
    return *result_;
  }

 private:
  static absl::StatusOr<int> Result(const absl::StatusOr<ExecReply>& reply) {
    if (!reply.ok()) return reply.status();
    switch (reply->kind) {
      case ExecReply::Kind::kExited:
        return ExitCode(reply->wait_status);
      case ExecReply::Kind::kFailed:
        return reply->error;
      case ExecReply::Kind::kStarted:
        break;
    }
    return absl::InternalError("davit-app in the pod answered nonsense");
  }

  const UniqueFd channel_;
  Streams streams_;
  const bool tty_;
  std::optional<absl::StatusOr<int>> result_;
};

absl::Status AwaitStarted(int channel, absl::Time deadline) {
  absl::StatusOr<ExecReply> reply = ReceiveReply(channel, deadline);
  if (absl::IsDeadlineExceeded(reply.status())) {
    return absl::DeadlineExceededError("davit-app in the pod does not answer");
  }
  RETURN_IF_ERROR(reply.status());
  if (reply->kind == ExecReply::Kind::kFailed) return reply->error;
  if (reply->kind == ExecReply::Kind::kStarted) return absl::OkStatus();
  return absl::InternalError("davit-app in the pod answered nonsense");
}

std::string DescribeExec(const ExecRequest& request) {
  if (!request.login_user.empty()) {
    return absl::StrFormat("shell of user \"%s\"", request.login_user);
  }
  std::string what = absl::StrFormat("exec \"%s\"", request.argv[0]);
  if (request.app.empty()) return what;
  return absl::StrFormat("%s in app \"%s\"", what, request.app);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExecSession>> StartExec(
    PodBus& bus, const PodRef& pod, const ExecRequest& request, pid_t main_pid,
    absl::Time deadline) {
  if (request.argv.empty() && request.login_user.empty()) {
    return absl::InvalidArgumentError("argv: is empty");
  }
  std::string what = DescribeExec(request);
  Login login;
  if (!request.login_user.empty()) {
    ASSIGN_OR_RETURN(login, PrepareLogin(pod, request.login_user), what);
  }
  ASSIGN_OR_RETURN(
      BothEnds ends,
      request.tty ? OpenTerminal(pod, request, login.uid) : OpenPipes(request),
      what);
  ASSIGN_OR_RETURN(UniqueFd plan, PlanFile(request, main_pid), what);
  ends.theirs.insert(ends.theirs.begin(), std::move(plan));
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
    return ErrnoError("socketpair(SOCK_SEQPACKET)");
  }
  UniqueFd channel(sockets[0]), pod_end(sockets[1]);
  RETURN_IF_ERROR(SendDescriptors(channel.get(), ends.theirs), what);
  ends.theirs.clear();
  TransientService service = {
      .unit = absl::StrCat("exec-", NewUuid(), ".service"),
      .argv = {kAppLauncherInPod, "exec"},
      .stdin_fd = pod_end.get(),
      .user = request.login_user,
      .pam_name = login.pam_name};
  RETURN_IF_ERROR(StartTransientService(bus, service, deadline), what);
  pod_end.Reset();
  absl::Status started = AwaitStarted(channel.get(), deadline);
  if (absl::IsUnavailable(started) && !request.login_user.empty()) {
    started = absl::FailedPreconditionError(
        "the pod's systemd could not start it: is there such a user, and may "
        "it log in?");
  }
  RETURN_IF_ERROR(started, what);
  return std::make_unique<PodExecSession>(std::move(channel),
                                          std::move(ends.ours), request.tty);
}

}  // namespace davit
