#include "runtime/userns/user_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// A child that holds new namespaces until it is killed. Between clone and its
// end it makes plain system calls only: we have threads.
class Placeholder {
 public:
  // `flags` are CLONE_NEW*; with a `userns` that is joined first.
  static absl::StatusOr<Placeholder> Start(int flags, int userns);
  Placeholder(Placeholder&& other) noexcept : pid_(other.pid_) {
    other.pid_ = -1;
  }
  ~Placeholder() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
    }
  }

  pid_t pid() const { return pid_; }
  absl::StatusOr<UniqueFd> Open(const char* type) const {
    std::string path = absl::StrCat("/proc/", pid_, "/ns/", type);
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return ErrnoError("open(%s)", path);
    return fd;
  }

 private:
  explicit Placeholder(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// In the child.
[[noreturn]] void Hold(int flags, int userns, int report) {
  int error = 0;
  if (userns >= 0 && setns(userns, CLONE_NEWUSER) < 0) error = errno;
  if (error == 0 && unshare(flags) < 0) error = errno;
  if (write(report, &error, sizeof(error)) != sizeof(error)) _exit(1);
  while (true) pause();
}

absl::StatusOr<Placeholder> Placeholder::Start(int flags, int userns) {
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  UniqueFd ours(pipe[0]), theirs(pipe[1]);
  // Not fork(3): no atfork handlers, whose locks another thread may hold.
  long pid = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return ErrnoError("clone");
  if (pid == 0) Hold(flags, userns, theirs.get());
  Placeholder child(static_cast<pid_t>(pid));
  theirs.Reset();
  int error = 0;
  ssize_t n;
  do {
    n = read(ours.get(), &error, sizeof(error));
  } while (n < 0 && errno == EINTR);
  if (n != sizeof(error)) {
    return absl::AbortedError("the child for new namespaces has died");
  }
  if (error != 0) return ErrorNumber(error, "unshare(%#x)", flags);
  return child;
}

}  // namespace

absl::StatusOr<UniqueFd> CreateUserNamespace(uint32_t base) {
  ASSIGN_OR_RETURN(Placeholder child, Placeholder::Start(CLONE_NEWUSER, -1),
                   "create user namespace");
  std::string map = absl::StrCat("0 ", base, " ", kUsernsIds, "\n");
  for (const char* file : {"uid_map", "gid_map"}) {
    RETURN_IF_ERROR(
        WriteKernelFile(absl::StrCat("/proc/", child.pid(), "/", file), map));
  }
  return child.Open("user");
}

absl::StatusOr<UniqueFd> CreateNetnsOwnedBy(int userns) {
  ASSIGN_OR_RETURN(Placeholder child, Placeholder::Start(CLONE_NEWNET, userns),
                   "create network namespace");
  return child.Open("net");
}

absl::StatusOr<UniqueFd> CreateMountNsOwnedBy(int userns) {
  ASSIGN_OR_RETURN(Placeholder child, Placeholder::Start(CLONE_NEWNS, userns),
                   "create mount namespace");
  return child.Open("mnt");
}

absl::Status PinNamespace(int fd, const std::string& path) {
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
  if (!file) return ErrnoError("open(%s, O_CREAT|O_EXCL)", path);
  std::string source = absl::StrCat("/proc/self/fd/", fd);
  if (mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0) {
    return absl::OkStatus();
  }
  absl::Status status = ErrnoError("mount(%s, %s, MS_BIND)", source, path);
  unlink(path.c_str());
  return status;
}

absl::Status UnpinNamespace(const std::string& path) {
  // EINVAL: the file is there, but nothing on it.
  if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
      errno != ENOENT && errno != EINVAL) {
    return ErrnoError("umount2(%s)", path);
  }
  return RemoveFile(path);
}

}  // namespace davit
