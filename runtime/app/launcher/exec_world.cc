#include "runtime/app/launcher/exec_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "runtime/app/app.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status NotRunning(const std::string& app) {
  return absl::FailedPreconditionError(
      absl::StrFormat("app \"%s\" is not running", app));
}

// The directories of the hierarchies that systemd keeps its units in.
struct UnitCgroups {
  std::vector<std::string> directories;
  bool of_app = false;
};

std::string UnifiedMount() {
  struct statfs info;
  bool pure = statfs("/sys/fs/cgroup", &info) == 0 &&
              info.f_type == CGROUP2_SUPER_MAGIC;
  return pure ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
}

// proc_pid_cgroup(5): "0::/system.slice/app-web.service".
UnitCgroups ParseCgroups(absl::string_view text, const std::string& app) {
  UnitCgroups result;
  std::string suffix = "/" + AppUnitName(app);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (field.size() != 3) continue;
    bool unified = field[0] == "0" && field[1].empty();
    if (!unified && field[1] != "name=systemd") continue;
    if (absl::EndsWith(field[2], suffix)) result.of_app = true;
    result.directories.push_back(absl::StrCat(
        unified ? UnifiedMount() : "/sys/fs/cgroup/systemd", field[2]));
  }
  return result;
}

absl::Status JoinCgroups(const UnitCgroups& cgroups) {
  for (const std::string& directory : cgroups.directories) {
    std::string file = directory + "/cgroup.procs";
    UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) {
      // A hierarchy that the pod does not see or may not write has no other
      // cgroup for us either.
      if (errno == ENOENT || errno == EROFS) continue;
      return ErrnoError("open(%s)", file);
    }
    if (write(fd.get(), "0", 1) < 0) return ErrnoError("write(%s)", file);
  }
  return absl::OkStatus();
}

bool SameFile(const std::string& a, const std::string& b) {
  struct stat first, second;
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

bool HasExited(int pidfd) {
  pollfd event = {pidfd, POLLIN, 0};
  return poll(&event, 1, 0) != 0;
}

// The slave of the pty as the current root names it, so that ttyname(3) works;
// the one that was sent if /dev/pts is another instance.
UniqueFd OpenTerminal(int sent) {
  struct stat info;
  if (fstat(sent, &info) == 0 && S_ISCHR(info.st_mode)) {
    std::string path = absl::StrCat("/dev/pts/", minor(info.st_rdev));
    UniqueFd named(open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    struct stat again;
    if (named && fstat(named.get(), &again) == 0 &&
        again.st_dev == info.st_dev && again.st_ino == info.st_ino) {
      return named;
    }
  }
  return UniqueFd(fcntl(sent, F_DUPFD_CLOEXEC, 3));
}

absl::Status SetStreams(int in, int out, int err) {
  if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
      dup2(err, STDERR_FILENO) < 0) {
    return ErrnoError("dup2(%d, %d, %d)", in, out, err);
  }
  return absl::OkStatus();
}

absl::Status SetUpTerminal(int sent, uid_t uid) {
  UniqueFd terminal = OpenTerminal(sent);
  if (!terminal) return ErrnoError("fcntl(tty, F_DUPFD)");
  // A login's user has it already, if the node could tell who that is.
  if (fchown(terminal.get(), uid, static_cast<gid_t>(-1)) < 0 &&
      geteuid() == 0) {
    return ErrnoError("fchown(tty, %d)", uid);
  }
  if (ioctl(terminal.get(), TIOCSCTTY, 0) < 0) return ErrnoError("TIOCSCTTY");
  return SetStreams(terminal.get(), terminal.get(), terminal.get());
}

// Field 6 of /proc/PID/stat, after a name that may hold anything.
pid_t SessionOf(const char* pid) {
  absl::StatusOr<std::string> stat =
      ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return -1;
  absl::string_view after_name = *stat;
  size_t name_end = after_name.rfind(')');
  if (name_end == absl::string_view::npos) return -1;
  after_name.remove_prefix(name_end + 1);
  std::vector<absl::string_view> field =
      absl::StrSplit(after_name, ' ', absl::SkipEmpty());
  pid_t session = -1;
  if (field.size() < 4 || !absl::SimpleAtoi(field[3], &session)) return -1;
  return session;
}

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

// One pass; how many were found.
int KillSessionOnce(pid_t leader) {
  std::unique_ptr<DIR, DirectoryCloser> proc(opendir("/proc"));
  if (proc == nullptr) return 0;
  int found = 0;
  while (const dirent* entry = readdir(proc.get())) {
    pid_t pid;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    // The leader is our child: as a zombie it stays in the list.
    if (SessionOf(entry->d_name) != leader) continue;
    if (kill(pid, SIGKILL) == 0 && pid != leader) ++found;
  }
  return found;
}

}  // namespace

absl::Status EnterAppWorld(const std::string& app, pid_t main_pid) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, main_pid, 0)));
  if (!pidfd) return NotRunning(app);
  std::string proc = absl::StrCat("/proc/", main_pid);
  absl::StatusOr<std::string> text = ReadFile(proc + "/cgroup");
  if (!text.ok()) return NotRunning(app);
  UnitCgroups cgroups = ParseCgroups(*text, app);
  if (!cgroups.of_app) return NotRunning(app);
  // Still davit-app: its root is not the app's yet.
  if (SameFile(proc + "/exe", "/proc/self/exe")) {
    return absl::FailedPreconditionError(
        absl::StrFormat("app \"%s\" is still being started", app));
  }
  if (HasExited(pidfd.get())) return NotRunning(app);
  RETURN_IF_ERROR(JoinCgroups(cgroups));
  if (setns(pidfd.get(), CLONE_NEWNS) < 0) {
    if (errno == ESRCH) return NotRunning(app);
    return ErrnoError("setns(%d, CLONE_NEWNS)", main_pid);
  }
  return absl::OkStatus();
}

absl::Status SetUpStreams(const ExecJob& job, uid_t uid) {
  if (setsid() < 0) return ErrnoError("setsid");
  if (job.plan.tty) return SetUpTerminal(job.tty_fd.get(), uid);
  if (job.stdin_fd) {
    return SetStreams(job.stdin_fd.get(), job.stdout_fd.get(),
                      job.stderr_fd.get());
  }
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return ErrnoError("open(/dev/null)");
  return SetStreams(null.get(), job.stdout_fd.get(), job.stderr_fd.get());
}

void KillSession(pid_t leader) {
  // A process that forks while we look is found by the next pass.
  for (int pass = 0; pass < 10 && KillSessionOnce(leader) > 0; ++pass) {
  }
}

}  // namespace davit
