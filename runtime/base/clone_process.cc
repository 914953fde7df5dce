#include "runtime/base/clone_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/base/errno_error.h"

namespace davit {
namespace {

constexpr int kNotExecuted = 127;

// Blocks all signals of this thread: a handler of ours must not run in a child.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  NoSignals(const NoSignals&) = delete;

 private:
  sigset_t old_;
};

int HighestTarget(const ProgramStart& program) {
  int highest = 2;
  for (const auto& [from, to] : program.fds) highest = std::max(highest, to);
  return highest;
}

// From here to the exec nothing may allocate or lock: another thread may have
// held any lock when the process was copied.

bool PlaceDescriptors(const ProgramStart& program, int highest) {
  if (syscall(SYS_close_range, highest + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
    return false;
  }
  for (int fd = 0; fd <= highest; ++fd) {
    bool named = false;
    for (const auto& [from, to] : program.fds) {
      if (to != fd) continue;
      named = true;
      if (dup2(from, to) < 0) return false;
    }
    if (!named) close(fd);
  }
  return true;
}

void ResetSignals() {
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    sigaction(number, &by_default, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Tells `report` why it failed.
[[noreturn]] void Execute(const ProgramStart& program, int highest,
                          int report) {
  if (PlaceDescriptors(program, highest) && setsid() >= 0) {
    ResetSignals();
    execve(program.path, program.argv.data(), program.env.data());
  }
  int error = errno;
  // Without it the parent takes us for executed, and sees our end.
  if (write(report, &error, sizeof(error)) < 0) _exit(kNotExecuted);
  _exit(kNotExecuted);
}

// --- the parent's side ---------------------------------------------------

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// The errno of the child; 0 once it is executed, which closes the pipe.
int AwaitExec(int report) {
  int error = 0;
  ssize_t n;
  do {
    n = read(report, &error, sizeof(error));
  } while (n < 0 && errno == EINTR);
  return n == sizeof(error) ? error : 0;
}

}  // namespace

pid_t CloneProcess(uint64_t flags, int cgroup, UniqueFd* pidfd) {
  int fd = -1;
  clone_args args = {};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  if (pidfd != nullptr) {
    args.flags |= CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uint64_t>(&fd);
  }
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup);
  }
  long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid > 0 && pidfd != nullptr) *pidfd = UniqueFd(fd);
  return static_cast<pid_t>(pid);
}

absl::StatusOr<pid_t> StartInCgroup(int cgroup, const ProgramStart& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  int highest = HighestTarget(program);
  // Out of the way of what the program sees.
  UniqueFd report(fcntl(write_end.get(), F_DUPFD_CLOEXEC, highest + 1));
  if (!report) return ErrnoError("fcntl(F_DUPFD_CLOEXEC)");
  write_end.Reset();
  pid_t pid;
  {
    NoSignals blocked;
    pid = CloneProcess(0, cgroup, nullptr);
    if (pid == 0) Execute(program, highest, report.get());
  }
  if (pid < 0) return ErrnoError("clone3(CLONE_INTO_CGROUP)");
  report.Reset();
  int error = AwaitExec(read_end.get());
  if (error == 0) return pid;
  Reap(pid);
  return ErrorNumber(error, "execve(%s)", program.path);
}

}  // namespace davit
