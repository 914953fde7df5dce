#include "runtime/boot/shim/pod_start.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/clone_process.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/inside.h"
#include "runtime/boot/inside/user_starter.h"
#include "runtime/boot/shim/channel.h"
#include "runtime/boot/shim/device_policy.h"
#include "runtime/boot/shim/sysctl_policy.h"
#include "runtime/boot/unix_export.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {
namespace {

// The cloned process; killed (with its whole PID namespace) and reaped unless
// released.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    return *this;
  }
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

absl::StatusOr<UniqueFd> OpenNamespace(const std::string& path) {
  if (path.empty()) return UniqueFd();
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", path);
  return fd;
}

void Mark(StartedPod& pod, const char* phase) {
  pod.phases.push_back({phase, absl::Now()});
}

// PID 1 as the starter of a pod with a user namespace tells of it: our child
// too, but a child that the starter has cloned.
absl::Status TakeInit(ChannelMessage& message, Child& init) {
  pid_t pid = 0;
  if (!absl::SimpleAtoi(message.text, &pid) || !message.fd) {
    return absl::InternalError("starter told of no PID 1");
  }
  init = Child(pid, std::move(message.fd));
  return absl::OkStatus();
}

// Collects the descriptors that are sent until the tree is ready. `init`
// becomes PID 1 if `starter` only starts it.
absl::Status AwaitMounts(Channel& channel, Child& starter, Child& init,
                         StartedPod& pod) {
  while (true) {
    absl::StatusOr<ChannelMessage> message = channel.Receive();
    if (absl::IsOutOfRange(message.status())) {
      Child& ended = init.pid() > 0 ? init : starter;
      return absl::AbortedError(
          absl::StrCat("PID 1 ", ended.Reap(), " during its set-up"));
    }
    RETURN_IF_ERROR(message.status());
    switch (message->tag) {
      case ChannelTag::kInit:
        RETURN_IF_ERROR(TakeInit(*message, init));
        break;
      case ChannelTag::kConsole:
        pod.console = std::move(message->fd);
        break;
      case ChannelTag::kNotify:
        pod.notify = std::move(message->fd);
        break;
      case ChannelTag::kFifo:
        pod.fifo = std::move(message->fd);
        break;
      case ChannelTag::kTty:
        pod.ttys.push_back(std::move(message->fd));
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

absl::Status SetNonBlocking(int fd) {
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
    return ErrnoError("fcntl(%d, O_NONBLOCK)", fd);
  }
  return absl::OkStatus();
}

// Returns PID 1.
absl::StatusOr<Child> SeeThrough(const LaunchPlan& plan, Channel& channel,
                                 Child starter, StartedPod& pod) {
  Child init(-1, UniqueFd());
  RETURN_IF_ERROR(AwaitMounts(channel, starter, init, pod));
  if (init.pid() > 0) {
    starter.Reap();
  } else {
    init = std::move(starter);
  }
  ASSIGN_OR_RETURN(pod.init, IdentifyProcess(init.pid()));
  Mark(pod, "mounts");
  RETURN_IF_ERROR(CloseUnixExport(plan.unix_export), "close unix-export");
  // Now, not before: the child itself had to make forbidden nodes.
  RETURN_IF_ERROR(ApplyDevicePolicy(plan.devices, plan.cgroups),
                  "apply device policy");
  RETURN_IF_ERROR(ApplySysctlPolicy(!plan.netns_path.empty(), plan.cgroups),
                  "apply sysctl policy");
  RETURN_IF_ERROR(AwaitExec(channel));
  Mark(pod, "exec");
  RETURN_IF_ERROR(SetNonBlocking(pod.console.get()));
  for (const UniqueFd& tty : pod.ttys) {
    RETURN_IF_ERROR(SetNonBlocking(tty.get()));
  }
  return init;
}

// They are the pod's now; a socket that we held open would never be closed.
void CloseListenFds(int count) {
  for (int i = 0; i < count; ++i) UniqueFd closed(kFirstListenFdOfShim + i);
}

}  // namespace

absl::StatusOr<StartedPod> StartPod(const LaunchPlan& plan) {
  UniqueFd bare_mounts(kBareMountsFdOfShim);
  ASSIGN_OR_RETURN(UniqueFd netns, OpenNamespace(plan.netns_path),
                   "join network namespace");
  ASSIGN_OR_RETURN(UniqueFd userns, OpenNamespace(plan.userns.path),
                   "join user namespace");
  RETURN_IF_ERROR(BoundDevices(plan.devices, plan.cgroups), "bound devices");
  RETURN_IF_ERROR(MountUnixExport(plan.unix_export, plan.userns.base),
                  "mount unix-export");
  ASSIGN_OR_RETURN(auto channels, Channel::MakePair());
  uint64_t flags = 0;
  // With a user namespace these are made by the starter: they shall belong to
  // the pod's root.
  if (!userns) flags = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  ASSIGN_OR_RETURN(UniqueFd payload, PodCgroup(plan.cgroups).OpenPayload());
  UniqueFd pidfd;
  pid_t pid = CloneProcess(flags, payload.get(), &pidfd);
  if (pid < 0) return ErrnoError("clone3(%#x)", flags);
  if (pid == 0) {
    // Or the shim's death would not be seen.
    { Channel ours = std::move(channels.first); }
    if (!userns) {
      RunInside(plan, netns.get(), bare_mounts.get(),
                std::move(channels.second));
    }
    RunUserStarter(plan, netns.get(), bare_mounts.get(), userns.get(),
                   std::move(channels.second));
  }
  StartedPod pod;
  Mark(pod, "clone");
  Child starter(pid, std::move(pidfd));
  { Channel theirs = std::move(channels.second); }
  CloseListenFds(plan.listen_fds);
  ASSIGN_OR_RETURN(Child init,
                   SeeThrough(plan, channels.first, std::move(starter), pod));
  pod.pidfd = init.Release();
  return pod;
}

}  // namespace davit
