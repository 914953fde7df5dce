#include "agent/rpc/testing/local_exec_session.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {
namespace {

std::atomic<int> alive_count = 0;

struct Pipe {
  UniqueFd ours, theirs;
};

absl::StatusOr<Pipe> MakePipe(bool we_write) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return ErrnoError("pipe2()");
  Pipe pipe{UniqueFd(fds[we_write ? 1 : 0]), UniqueFd(fds[we_write ? 0 : 1])};
  fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

absl::StatusOr<Pipe> MakePty() {
  Pipe pty{UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)),
           UniqueFd()};
  if (!pty.ours || grantpt(pty.ours.get()) < 0 ||
      unlockpt(pty.ours.get()) < 0) {
    return ErrnoError("posix_openpt()");
  }
  char name[64];
  if (ptsname_r(pty.ours.get(), name, sizeof(name)) != 0) {
    return ErrnoError("ptsname_r()");
  }
  pty.theirs.Reset(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.theirs) return ErrnoError("open(%s)", name);
  return pty;
}

// Between fork(2) and execve(2) of a process with threads: only system calls.
[[noreturn]] void RunChild(int in, int out, int err, bool tty, char** argv) {
  setsid();
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  if (tty) ioctl(0, TIOCSCTTY, 0);
  signal(SIGPIPE, SIG_DFL);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

LocalExecSession::LocalExecSession() { ++alive_count; }

int LocalExecSession::alive() { return alive_count; }

absl::StatusOr<std::unique_ptr<ExecSession>> LocalExecSession::Start(
    const ExecRequest& request) {
  std::unique_ptr<LocalExecSession> session(new LocalExecSession());
  RETURN_IF_ERROR(session->Spawn(request));
  return std::unique_ptr<ExecSession>(std::move(session));
}

absl::Status LocalExecSession::Spawn(const ExecRequest& request) {
  Pipe in, out, err;
  if (request.tty) {
    ASSIGN_OR_RETURN(out, MakePty());
    stdin_.Reset(fcntl(out.ours.get(), F_DUPFD_CLOEXEC, 0));
  } else {
    ASSIGN_OR_RETURN(in, MakePipe(true));
    ASSIGN_OR_RETURN(out, MakePipe(false));
    ASSIGN_OR_RETURN(err, MakePipe(false));
    stdin_ = std::move(in.ours);
    stderr_ = std::move(err.ours);
  }
  stdout_ = std::move(out.ours);
  if (request.tty) RETURN_IF_ERROR(Resize(request.rows, request.columns));

  std::vector<char*> argv;
  for (const std::string& argument : request.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  int tty = out.theirs.get();
  pid_ = fork();
  if (pid_ < 0) return ErrnoError("fork()");
  if (pid_ == 0) {
    RunChild(request.tty ? tty : in.theirs.get(), tty,
             request.tty ? tty : err.theirs.get(), request.tty, argv.data());
  }
  pidfd_.Reset(syscall(SYS_pidfd_open, pid_, 0));
  if (!pidfd_) return ErrnoError("pidfd_open(%d)", pid_);
  if (!request.stdin_open) stdin_.Reset();
  return absl::OkStatus();
}

LocalExecSession::~LocalExecSession() {
  if (pid_ > 0) {
    // Itself as well: it may not have a session of its own yet.
    if (!reaped_) kill(pid_, SIGKILL);
    kill(-pid_, SIGKILL);
    if (!reaped_) waitpid(pid_, nullptr, 0);
  }
  --alive_count;
}

absl::Status LocalExecSession::Resize(unsigned rows, unsigned columns) {
  winsize size = {};
  size.ws_row = rows;
  size.ws_col = columns;
  if (ioctl(stdout_.get(), TIOCSWINSZ, &size) < 0) {
    return ErrnoError("ioctl(TIOCSWINSZ)");
  }
  return absl::OkStatus();
}

absl::Status LocalExecSession::Kill(int signal) {
  if (kill(pid_, signal) < 0) return ErrnoError("kill(%d)", pid_);
  return absl::OkStatus();
}

absl::StatusOr<int> LocalExecSession::Wait(absl::Duration timeout) {
  pollfd fd = {pidfd_.get(), POLLIN, 0};
  if (poll(&fd, 1, absl::ToInt64Milliseconds(timeout)) == 0) {
    return absl::DeadlineExceededError("it still runs");
  }
  int status = 0;
  if (waitpid(pid_, &status, 0) < 0) return ErrnoError("waitpid(%d)", pid_);
  reaped_ = true;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace davit::testing
