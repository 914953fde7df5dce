#include "runtime/cgroup/cgroup_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

UniqueFd OpenDirectory(int at, const char* name) {
  return UniqueFd(
      openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

absl::StatusOr<std::vector<std::string>> Subdirectories(int fd) {
  // A second open file: fdopendir takes over the one that it gets.
  UniqueFd again = OpenDirectory(fd, ".");
  if (!again) return ErrnoError("open(., O_DIRECTORY)");
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(again.get()));
  if (dir == nullptr) return ErrnoError("fdopendir");
  again.Release();
  std::vector<std::string> names;
  while (dirent* entry = readdir(dir.get())) {
    absl::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

// Visits `directory` and all below it, children first. A pod may nest cgroups
// deeper than PATH_MAX or our descriptors reach, so only the current directory
// is held and ".." leads back. `leave(parent_fd, name)` is called after a
// subdirectory has been visited.
template <typename Visit, typename Leave>
absl::Status Walk(UniqueFd current, Visit visit, Leave leave) {
  struct Level {
    std::vector<std::string> todo;
    std::string name;
  };
  std::vector<Level> stack;
  RETURN_IF_ERROR(visit(current.get()));
  ASSIGN_OR_RETURN(std::vector<std::string> todo,
                   Subdirectories(current.get()));
  stack.push_back({std::move(todo), ""});
  while (true) {
    if (!stack.back().todo.empty()) {
      std::string name = std::move(stack.back().todo.back());
      stack.back().todo.pop_back();
      UniqueFd child = OpenDirectory(current.get(), name.c_str());
      if (!child && errno == ENOENT) continue;
      if (!child) return ErrnoError("open(%s, O_DIRECTORY)", name);
      current = std::move(child);
      RETURN_IF_ERROR(visit(current.get()));
      ASSIGN_OR_RETURN(todo, Subdirectories(current.get()));
      stack.push_back({std::move(todo), name});
      continue;
    }
    std::string name = std::move(stack.back().name);
    stack.pop_back();
    if (stack.empty()) return absl::OkStatus();
    UniqueFd parent = OpenDirectory(current.get(), "..");
    if (!parent) return ErrnoError("open(%s/..)", name);
    current = std::move(parent);
    RETURN_IF_ERROR(leave(current.get(), name));
  }
}

int Milliseconds(absl::Time deadline) {
  int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

absl::Status CopyFromParent(const std::string& directory,
                            absl::string_view file) {
  ASSIGN_OR_RETURN(std::string value,
                   ReadFile(absl::StrCat(directory, "/../", file)));
  return WriteKernelFile(absl::StrCat(directory, "/", file), value);
}

// v2: waits until cgroup.events has the line `wanted`.
absl::Status WaitForEvent(const std::string& directory,
                          absl::string_view wanted, absl::string_view otherwise,
                          absl::Time deadline) {
  std::string path = absl::StrCat(directory, "/cgroup.events");
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return absl::OkStatus();
  if (!fd) return ErrnoError("open(%s)", path);
  while (true) {
    // Reading arms the next POLLPRI, so read first and poll then.
    char text[256];
    ssize_t n = pread(fd.get(), text, sizeof(text), 0);
    if (n < 0 && errno == ENODEV) return absl::OkStatus();  // removed
    if (n < 0) return ErrnoError("read(%s)", path);
    absl::string_view events(text, static_cast<size_t>(n));
    if (events.find(wanted) != events.npos) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(otherwise, directory));
    }
    pollfd event = {fd.get(), POLLPRI, 0};
    if (poll(&event, 1, Milliseconds(deadline)) < 0 && errno != EINTR) {
      return ErrnoError("poll(%s)", path);
    }
  }
}

absl::Status ReadProcs(int fd, std::vector<pid_t>& pids) {
  UniqueFd procs(openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC));
  if (!procs && errno == ENOENT) return absl::OkStatus();
  if (!procs) return ErrnoError("open(cgroup.procs)");
  absl::StatusOr<std::string> text = ReadAll(procs.get());
  // EOPNOTSUPP: a threaded cgroup lists its processes at its domain's root.
  if (!text.ok()) return absl::OkStatus();
  for (absl::string_view line :
       absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    // 0 is a process of a PID namespace that we cannot see into.
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  return absl::OkStatus();
}

absl::Status RemoveOne(int parent, const std::string& name) {
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  if (errno == EBUSY) {
    return absl::FailedPreconditionError(
        absl::StrCat("rmdir(", name, "): processes are left in it"));
  }
  return ErrnoError("rmdir(%s)", name);
}

absl::Status RemoveTreeOnce(const std::string& directory) {
  UniqueFd fd = OpenDirectory(AT_FDCWD, directory.c_str());
  if (!fd && errno == ENOENT) return absl::OkStatus();
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", directory);
  RETURN_IF_ERROR(
      Walk(
          std::move(fd), [](int) { return absl::OkStatus(); }, RemoveOne),
      directory);
  return RemoveOne(AT_FDCWD, directory);
}

// Somebody else may remove the same tree: what we stand in is gone then, which
// is NotFound in the middle. Each attempt finds less.
absl::Status AttemptWhileItVanishes(
    const std::function<absl::Status()>& attempt) {
  constexpr int kAttempts = 100;
  absl::Status status;
  for (int i = 0; i < kAttempts; ++i) {
    status = attempt();
    if (!absl::IsNotFound(status)) break;
  }
  return status;
}

absl::StatusOr<std::vector<pid_t>> ListProcessesOnce(
    const std::string& directory) {
  std::vector<pid_t> pids;
  UniqueFd fd = OpenDirectory(AT_FDCWD, directory.c_str());
  if (!fd && errno == ENOENT) return pids;
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", directory);
  RETURN_IF_ERROR(
      Walk(
          std::move(fd), [&](int at) { return ReadProcs(at, pids); },
          [](int, const std::string&) { return absl::OkStatus(); }),
      directory);
  return pids;
}

}  // namespace

absl::StatusOr<std::vector<pid_t>> ListProcesses(const std::string& directory) {
  std::vector<pid_t> found;
  RETURN_IF_ERROR(AttemptWhileItVanishes([&]() -> absl::Status {
    ASSIGN_OR_RETURN(found, ListProcessesOnce(directory));
    return absl::OkStatus();
  }));
  return found;
}

absl::Status RemoveCgroupTree(const std::string& directory) {
  return AttemptWhileItVanishes([&] { return RemoveTreeOnce(directory); });
}

absl::StatusOr<int64_t> ReadKey(const std::string& path,
                                const std::string& key) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t value = 0;
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ") &&
        absl::SimpleAtoi(line, &value)) {
      return value;
    }
  }
  return absl::NotFoundError(absl::StrCat(path, " has no ", key));
}

absl::StatusOr<int64_t> ReadNumber(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return absl::DataLossError(
        absl::StrCat(path, " holds \"", text, "\", not a number"));
  }
  return value;
}

absl::Status WaitUnpopulated(const std::string& directory,
                             absl::Time deadline) {
  return WaitForEvent(directory, "populated 0", "processes are left in ",
                      deadline);
}

absl::Status WaitFrozen(const std::string& directory, absl::Time deadline) {
  return WaitForEvent(directory, "frozen 1", "not all processes freeze in ",
                      deadline);
}

absl::Status FreezeV1(const std::string& directory, absl::Time deadline) {
  std::string path = absl::StrCat(directory, "/freezer.state");
  // The v1 freezer tells nobody when it is done, and a process that forks
  // meanwhile needs the write again.
  constexpr absl::Duration kPause = absl::Milliseconds(1);
  while (true) {
    RETURN_IF_ERROR(WriteKernelFile(path, "FROZEN"));
    ASSIGN_OR_RETURN(std::string state, ReadFile(path));
    if (absl::StripAsciiWhitespace(state) == "FROZEN") return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("not all processes freeze in ", directory));
    }
    absl::SleepFor(kPause);
  }
}

std::vector<UniqueFd> SendKill(const std::vector<pid_t>& pids) {
  std::vector<UniqueFd> handles;
  for (pid_t pid : pids) {
    UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!handle) continue;  // gone
    syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
    handles.push_back(std::move(handle));
  }
  return handles;
}

absl::Status WaitForEnds(const std::vector<UniqueFd>& pidfds,
                         absl::Time deadline) {
  for (const UniqueFd& pidfd : pidfds) {
    pollfd event = {pidfd.get(), POLLIN, 0};
    int n;
    do {
      n = poll(&event, 1, Milliseconds(deadline));
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
      return absl::DeadlineExceededError("killed processes do not end");
    }
  }
  return absl::OkStatus();
}

absl::Status HandDownControllers(const std::string& directory) {
  ASSIGN_OR_RETURN(std::string controllers,
                   ReadFile(absl::StrCat(directory, "/cgroup.controllers")));
  std::string path = absl::StrCat(directory, "/cgroup.subtree_control");
  for (absl::string_view name :
       absl::StrSplit(controllers, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    absl::Status status = WriteKernelFile(path, absl::StrCat("+", name));
    // The one that the caller can do something about; a controller that cannot
    // be enabled for other reasons (cpu with real-time tasks) is missed later,
    // by the limit that needs it.
    if (absl::IsFailedPrecondition(status)) {  // EBUSY
      return absl::FailedPreconditionError(
          absl::StrCat("processes of others are in cgroup ", directory, ": ",
                       status.message()));
    }
    if (absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status InheritCpuset(const std::string& directory) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    std::string path = absl::StrCat(directory, "/", name);
    ASSIGN_OR_RETURN(std::string present, ReadFile(path));
    if (!absl::StripAsciiWhitespace(present).empty()) continue;
    RETURN_IF_ERROR(CopyFromParent(directory, name));
  }
  return absl::OkStatus();
}

absl::Status LiftCpuset(const std::string& directory) {
  return CopyFromParent(directory, "cpuset.cpus");
}

}  // namespace davit
