#include "runtime/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/clone_process.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

class SpawnAttributes {
 public:
  explicit SpawnAttributes(short group_flag) {
    posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(
        &attributes_, static_cast<short>(POSIX_SPAWN_SETSIGDEF |
                                         POSIX_SPAWN_SETSIGMASK | group_flag));
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Spawns with exactly `fds` open. Runs in the calling thread's namespaces.
absl::StatusOr<pid_t> SpawnHere(const SubprocessSpec& spec,
                                const std::vector<std::pair<int, int>>& fds,
                                short group_flag) {
  // Move every source above every target first, so that no dup2 overwrites a
  // source that a later one needs.
  int highest = 2;
  for (const auto& [from, to] : fds) highest = std::max(highest, to);
  std::vector<UniqueFd> sources;
  std::vector<std::pair<int, int>> moved;
  for (const auto& [from, to] : fds) {
    sources.emplace_back(fcntl(from, F_DUPFD_CLOEXEC, highest + 1));
    if (!sources.back()) return ErrnoError("fcntl(%d, F_DUPFD)", from);
    moved.emplace_back(sources.back().get(), to);
  }
  if (spec.cgroup_fd >= 0) {
    return StartInCgroup(spec.cgroup_fd, {.path = spec.path.c_str(),
                                          .argv = Pointers(spec.argv),
                                          .env = Pointers(spec.env),
                                          .fds = std::move(moved)});
  }
  SpawnActions actions;
  for (const auto& [from, to] : moved) {
    posix_spawn_file_actions_adddup2(actions.get(), from, to);
  }
  // Everything else that we have open stays ours, gaps between targets too.
  for (int fd = 0; fd <= highest; ++fd) {
    bool named = std::any_of(fds.begin(), fds.end(), [fd](const auto& pair) {
      return pair.second == fd;
    });
    if (!named) posix_spawn_file_actions_addclose(actions.get(), fd);
  }
  posix_spawn_file_actions_addclosefrom_np(actions.get(), highest + 1);
  SpawnAttributes attributes(group_flag);
  pid_t pid = -1;
  int error =
      posix_spawn(&pid, spec.path.c_str(), actions.get(), attributes.get(),
                  Pointers(spec.argv).data(), Pointers(spec.env).data());
  if (error != 0) return ErrorNumber(error, "execve(%s)", spec.path);
  return pid;
}

// The same in spec.netns_fd, by a thread of its own when that is not ours: the
// switch of a network namespace is per thread, and so is its inheritance.
absl::StatusOr<pid_t> Spawn(const SubprocessSpec& spec,
                            const std::vector<std::pair<int, int>>& fds,
                            short group_flag) {
  if (spec.netns_fd < 0) return SpawnHere(spec, fds, group_flag);
  absl::StatusOr<pid_t> pid = absl::UnknownError("not started");
  std::thread([&] {
    if (setns(spec.netns_fd, CLONE_NEWNET) < 0) {
      pid = ErrnoError("setns(%d, CLONE_NEWNET)", spec.netns_fd);
      return;
    }
    pid = SpawnHere(spec, fds, group_flag);
  }).join();
  return pid;
}

struct Pipe {
  UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A child and its process group: killed and reaped if still there at the end.
class Child {
 public:
  explicit Child(pid_t pid)
      : pid_(pid), pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  Child(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) KillAndReap();
  }
  int pidfd() const { return pidfd_.get(); }

  int Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }
  void KillAndReap() {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    Reap();
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

// Feeds stdin and collects stdout and stderr until the child has exited.
class Conversation {
 public:
  Conversation(const SubprocessSpec& spec, UniqueFd in, UniqueFd out,
               UniqueFd err)
      : spec_(spec),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)),
        deadline_(absl::Now() + spec.timeout) {
    fcntl(in_.get(), F_SETFL, O_NONBLOCK);
    fcntl(out_.get(), F_SETFL, O_NONBLOCK);
    fcntl(err_.get(), F_SETFL, O_NONBLOCK);
    if (spec_.stdin_data.empty()) in_.Reset();
  }

  absl::Status Run(const Child& child, SubprocessResult& result) {
    while (true) {
      pollfd polls[] = {{in_.get(), POLLOUT, 0},
                        {out_.get(), POLLIN, 0},
                        {err_.get(), POLLIN, 0},
                        {child.pidfd(), POLLIN, 0}};
      int timeout_ms = TimeoutMs();
      int n = poll(polls, 4, timeout_ms);
      if (n < 0 && errno != EINTR) return ErrnoError("poll");
      if (n == 0 && absl::Now() >= deadline_) {
        return absl::DeadlineExceededError(
            absl::StrCat(spec_.path, " did not end within ",
                         absl::FormatDuration(spec_.timeout)));
      }
      if (n <= 0) continue;
      if (polls[0].revents != 0) Feed();
      bool exited = polls[3].revents != 0;
      RETURN_IF_ERROR(Drain(out_, result.out));
      RETURN_IF_ERROR(Drain(err_, result.err));
      // A grandchild may hold the pipes open for ever: the exit decides.
      if (exited) return absl::OkStatus();
    }
  }

 private:
  int TimeoutMs() const {
    absl::Duration left = deadline_ - absl::Now();
    if (left == absl::InfiniteDuration()) return -1;
    int64_t ms = absl::ToInt64Milliseconds(left) + 1;
    return static_cast<int>(std::clamp<int64_t>(ms, 0, 1 << 30));
  }

  void Feed() {
    ssize_t n = write(in_.get(), spec_.stdin_data.data() + fed_,
                      spec_.stdin_data.size() - fed_);
    if (n > 0) fed_ += static_cast<size_t>(n);
    // A program may end without reading its input: EPIPE is no error.
    bool broken = n < 0 && errno != EAGAIN && errno != EINTR;
    if (broken || fed_ == spec_.stdin_data.size()) in_.Reset();
  }

  absl::Status Drain(UniqueFd& fd, std::string& into) {
    char buffer[16384];
    while (fd) {
      ssize_t n = read(fd.get(), buffer, sizeof(buffer));
      if (n > 0) into.append(buffer, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) fd.Reset();
      if (into.size() > spec_.output_limit) {
        return absl::ResourceExhaustedError(absl::StrCat(
            spec_.path, " printed more than ", spec_.output_limit, " bytes"));
      }
      if (n < 0) break;
    }
    return absl::OkStatus();
  }

  const SubprocessSpec& spec_;
  UniqueFd in_, out_, err_;
  absl::Time deadline_;
  size_t fed_ = 0;
};

// write(2) to a closed pipe must give EPIPE, not kill us: blocks SIGPIPE in
// this thread and swallows a pending one at the end.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set_, &old_);
  }
  ~NoSigpipe() {
    timespec zero = {};
    while (sigtimedwait(&set_, nullptr, &zero) == SIGPIPE) {
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }

 private:
  sigset_t set_, old_;
};

}  // namespace

bool SubprocessResult::ExitedWith(int code) const {
  return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == code;
}

std::string SubprocessResult::DescribeExit() const {
  if (WIFEXITED(wait_status)) {
    return absl::StrCat("exited with ", WEXITSTATUS(wait_status));
  }
  int signal = WTERMSIG(wait_status);
  return absl::StrCat("killed by signal ", signal, " (", strsignal(signal),
                      ")");
}

absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessSpec& spec) {
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  std::vector<std::pair<int, int>> fds = {
      {in.read.get(), 0}, {out.write.get(), 1}, {err.write.get(), 2}};
  fds.insert(fds.end(), spec.fds.begin(), spec.fds.end());
  ASSIGN_OR_RETURN(pid_t pid, Spawn(spec, fds, POSIX_SPAWN_SETPGROUP));
  Child child(pid);
  in.read.Reset();
  out.write.Reset();
  err.write.Reset();
  NoSigpipe no_sigpipe;
  SubprocessResult result;
  RETURN_IF_ERROR(Conversation(spec, std::move(in.write), std::move(out.read),
                               std::move(err.read))
                      .Run(child, result));
  result.wait_status = child.Reap();
  return result;
}

absl::StatusOr<pid_t> StartDetached(const SubprocessSpec& spec) {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return ErrnoError("open(/dev/null)");
  std::vector<std::pair<int, int>> fds = spec.fds;
  for (int standard = 0; standard <= 2; ++standard) {
    bool mapped = std::any_of(fds.begin(), fds.end(), [&](const auto& pair) {
      return pair.second == standard;
    });
    if (!mapped) fds.emplace_back(null.get(), standard);
  }
  return Spawn(spec, fds, POSIX_SPAWN_SETSID);
}

}  // namespace davit
