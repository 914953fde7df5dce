#include "runtime/boot/shim/pod_start.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/inside.h"
#include "runtime/boot/shim/channel.h"
#include "runtime/boot/shim/device_policy.h"

namespace davit {
namespace {

// The cloned process; killed (with its whole PID namespace) and reaped unless
// released.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    Reap();
  }

  pid_t pid() const { return pid_; }
  UniqueFd Release() {
    pid_ = -1;
    return std::move(pidfd_);
  }

  // "exited with 70", "was killed by signal 9 (Killed)".
  std::string Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    if (WIFEXITED(status)) {
      return absl::StrCat("exited with ", WEXITSTATUS(status));
    }
    return absl::StrCat("was killed by signal ", WTERMSIG(status), " (",
                        strsignal(WTERMSIG(status)), ")");
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

absl::StatusOr<UniqueFd> OpenNetns(const std::string& path) {
  if (path.empty()) return UniqueFd();
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", path);
  return fd;
}

void Mark(StartedPod& pod, const char* phase) {
  pod.phases.push_back({phase, absl::Now()});
}

// Collects the descriptors that the child sends until its tree is ready.
absl::Status AwaitMounts(Channel& channel, Child& child, StartedPod& pod) {
  while (true) {
    absl::StatusOr<ChannelMessage> message = channel.Receive();
    if (absl::IsOutOfRange(message.status())) {
      return absl::AbortedError(
          absl::StrCat("PID 1 ", child.Reap(), " during its set-up"));
    }
    RETURN_IF_ERROR(message.status());
    switch (message->tag) {
      case ChannelTag::kConsole:
        pod.console = std::move(message->fd);
        break;
      case ChannelTag::kNotify:
        pod.notify = std::move(message->fd);
        break;
      case ChannelTag::kFifo:
        pod.fifo = std::move(message->fd);
        break;
      case ChannelTag::kMountsDone:
        return absl::OkStatus();
      default:
        return absl::InternalError("unexpected message from PID 1");
    }
  }
}

// A successful exec closes the child's end; a failed one says why first.
absl::Status AwaitExec(Channel& channel) {
  RETURN_IF_ERROR(channel.Send(ChannelTag::kExec));
  absl::StatusOr<ChannelMessage> message = channel.Receive();
  if (absl::IsOutOfRange(message.status())) return absl::OkStatus();
  RETURN_IF_ERROR(message.status());
  return absl::InternalError("unexpected message instead of the exec");
}

absl::Status SeeThrough(const LaunchPlan& plan, Channel& channel, Child& child,
                        StartedPod& pod) {
  ASSIGN_OR_RETURN(pod.init, IdentifyProcess(child.pid()));
  RETURN_IF_ERROR(AwaitMounts(channel, child, pod));
  Mark(pod, "mounts");
  // Now, not before: the child itself had to make forbidden nodes.
  RETURN_IF_ERROR(ApplyDevicePolicy(plan.devices, plan.cgroups),
                  "apply device policy");
  RETURN_IF_ERROR(AwaitExec(channel));
  Mark(pod, "exec");
  if (fcntl(pod.console.get(), F_SETFL, O_NONBLOCK) < 0) {
    return ErrnoError("fcntl(console, O_NONBLOCK)");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StartedPod> StartPod(const LaunchPlan& plan) {
  ASSIGN_OR_RETURN(UniqueFd netns, OpenNetns(plan.netns_path),
                   "join network namespace");
  ASSIGN_OR_RETURN(auto channels, Channel::MakePair());
  int pidfd = -1;
  // Like fork(2), but no atfork handlers run: nothing needs them here.
  long pid = syscall(SYS_clone,
                     CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                         CLONE_PIDFD | SIGCHLD,
                     nullptr, &pidfd, nullptr, nullptr);
  if (pid < 0) return ErrnoError("clone(NEWNS|NEWPID|NEWUTS|NEWIPC)");
  if (pid == 0) {
    // Or the shim's death would not be seen.
    { Channel ours = std::move(channels.first); }
    RunInside(plan, netns.get(), std::move(channels.second));
  }
  StartedPod pod;
  Mark(pod, "clone");
  Child child(static_cast<pid_t>(pid), UniqueFd(pidfd));
  { Channel theirs = std::move(channels.second); }
  RETURN_IF_ERROR(SeeThrough(plan, channels.first, child, pod));
  pod.pidfd = child.Release();
  return pod;
}

}  // namespace davit
