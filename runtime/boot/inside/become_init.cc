#include "runtime/boot/inside/become_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/sandbox/capabilities.h"
#include "runtime/sandbox/confinement.h"
#include "runtime/sandbox/seccomp_program.h"

namespace davit {
namespace {

constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START

absl::Status SetLimits(uint64_t open_files_soft) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return ErrnoError("getrlimit");
  limit.rlim_cur = std::min<rlim_t>(open_files_soft, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
    return ErrnoError("setrlimit(RLIMIT_NOFILE, %d)", limit.rlim_cur);
  }
  // The agent's own score and login are not the pod's. Without CAP_SYS_RESOURCE
  // a score cannot go below what an ancestor with it has set; a kernel without
  // audit has no loginuid.
  WriteKernelFile("/proc/self/oom_score_adj", "0").IgnoreError();
  WriteKernelFile("/proc/self/loginuid", "4294967295").IgnoreError();
  return absl::OkStatus();
}

absl::Status SetIdentity(const LaunchPlan& plan) {
  if (sethostname(plan.hostname.data(), plan.hostname.size()) < 0) {
    return ErrnoError("sethostname(%s)", plan.hostname);
  }
  constexpr int kJoinSessionKeyring = 1;
  if (syscall(SYS_keyctl, kJoinSessionKeyring, nullptr, 0, 0, 0) < 0 &&
      errno != ENOSYS) {
    return ErrnoError("keyctl(KEYCTL_JOIN_SESSION_KEYRING)");
  }
  return absl::OkStatus();
}

absl::Status OpenStdio() {
  // A new session without a controlling terminal, as a kernel starts its init.
  if (setsid() < 0) return ErrnoError("setsid");
  UniqueFd console(open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!console) return ErrnoError("open(/dev/console)");
  for (int fd = 0; fd <= 2; ++fd) {
    if (dup2(console.get(), fd) < 0) return ErrnoError("dup2(%d)", fd);
  }
  return absl::OkStatus();
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// PID 1 finds its sockets from 3 on (sd_listen_fds(3)); the shim has passed
// them from `first` on, behind what it needs itself.
absl::Status PlaceListenFds(int count, int first) {
  for (int i = 0; i < count; ++i) {
    if (dup2(first + i, kFirstListenFd + i) < 0) {
      return ErrnoError("dup2(%d, %d)", first + i, kFirstListenFd + i);
    }
  }
  return absl::OkStatus();
}

// Returns only on error.
absl::Status Execute(const LaunchPlan& plan) {
  std::vector<char*> argv = Pointers(plan.argv);
  std::vector<char*> env = Pointers(plan.env);
  RETURN_IF_ERROR(PlaceListenFds(plan.listen_fds, kFirstListenFdOfShim),
                  "pass sockets");
  int first = kFirstListenFd + plan.listen_fds;
  if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
    return ErrnoError("close_range(%d, CLOSE_RANGE_CLOEXEC)", first);
  }
  umask(0022);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  RETURN_IF_ERROR(LabelNextExec(plan.confinement));
  RETURN_IF_ERROR(LimitCapabilities(plan.bounding_capabilities));
  // Last: what they deny is denied to us as well.
  RETURN_IF_ERROR(LoadSeccompProgram(plan.seccomp_program));
  if (!plan.confinement.seccomp_program.empty()) {
    RETURN_IF_ERROR(LoadSeccompProgram(plan.confinement.seccomp_program));
  }
  execve(argv[0], argv.data(), env.data());
  return ErrnoError("execve(%s)", argv[0]);
}

}  // namespace

absl::Status JoinPod(const LaunchPlan& plan, int netns) {
  RETURN_IF_ERROR(PodCgroup(plan.cgroups).EnterPayload(), "join cgroups");
  if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0) {
    return ErrnoError("setns(CLONE_NEWNET)");
  }
  return SetLimits(plan.open_files_soft);
}

absl::Status BecomeInit(const LaunchPlan& plan, Channel& shim) {
  RETURN_IF_ERROR(shim.MoveAbove(kFirstListenFd + plan.listen_fds));
  RETURN_IF_ERROR(SetIdentity(plan), "set identity");
  RETURN_IF_ERROR(OpenStdio(), "open console");
  RETURN_IF_ERROR(shim.Send(ChannelTag::kMountsDone));
  RETURN_IF_ERROR(shim.Expect(ChannelTag::kExec));
  return Annotate(Execute(plan), "start init");
}

}  // namespace davit
