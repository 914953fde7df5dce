#include "runtime/boot/inside/inside.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/fs_steps.h"
#include "runtime/boot/inside/pod_root.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/sandbox/capabilities.h"
#include "runtime/sandbox/seccomp_program.h"

namespace davit {
namespace {

constexpr int kSetupFailed = 70;  // EX_SOFTWARE; seen by nobody but the shim

absl::Status JoinNamespaces(int netns) {
  if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0) {
    return ErrnoError("setns(CLONE_NEWNET)");
  }
  // After the entry into the payload cgroup: that is now the root of /proc/PID/
  // cgroup and of every cgroup mount.
  if (unshare(CLONE_NEWCGROUP) < 0) {
    return ErrnoError("unshare(CLONE_NEWCGROUP)");
  }
  return absl::OkStatus();
}

// pivot_root(2) into the root image with what is mounted below it. From here on
// the host's tree is out of reach.
absl::Status ChangeRoot(const std::string& root) {
  // pivot_root wants a mount that is not the current root's.
  if (mount(root.c_str(), root.c_str(), nullptr, MS_BIND | MS_REC, nullptr) <
      0) {
    return ErrnoError("mount(%s, MS_BIND|MS_REC)", root);
  }
  if (chdir(root.c_str()) < 0) return ErrnoError("chdir(%s)", root);
  // Puts the old root on top of the new one, without a directory for it.
  if (syscall(SYS_pivot_root, ".", ".") < 0) {
    return ErrnoError("pivot_root(%s)", root);
  }
  if (umount2(".", MNT_DETACH) < 0) return ErrnoError("umount2(old root)");
  if (chdir("/") < 0) return ErrnoError("chdir(/)");
  return absl::OkStatus();
}

absl::Status BuildTree(const LaunchPlan& plan, Channel& shim) {
  // Nothing that happens here may reach the host, nor the other way round.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  ASSIGN_OR_RETURN(HostMounts host_mounts, OpenHostMounts(plan.steps));
  RETURN_IF_ERROR(ChangeRoot(plan.root));
  ASSIGN_OR_RETURN(PodRoot root, PodRoot::Open("/"));
  RETURN_IF_ERROR(ApplyFsSteps(plan.steps, root, host_mounts, shim));
  // systemd leaves propagation to the manager in containers; without it new
  // mounts never reach sandboxed services that run already.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_SHARED)");
  }
  return absl::OkStatus();
}

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
  return SetLimits(plan.open_files_soft);
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

// Returns only on error.
absl::Status Execute(const LaunchPlan& plan) {
  std::vector<char*> argv = Pointers(plan.argv);
  std::vector<char*> env = Pointers(plan.env);
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
    return ErrnoError("close_range(3, CLOSE_RANGE_CLOEXEC)");
  }
  umask(0022);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  RETURN_IF_ERROR(LimitCapabilities(plan.bounding_capabilities));
  // Last: what it denies is denied to us as well.
  RETURN_IF_ERROR(LoadSeccompProgram(plan.seccomp_program));
  execve(argv[0], argv.data(), env.data());
  return ErrnoError("execve(%s)", argv[0]);
}

absl::Status Run(const LaunchPlan& plan, int netns, Channel& shim) {
  umask(0);
  RETURN_IF_ERROR(PodCgroup(plan.cgroups).EnterPayload(), "join cgroups");
  RETURN_IF_ERROR(JoinNamespaces(netns), "join namespaces");
  RETURN_IF_ERROR(BuildTree(plan, shim), "build file system tree");
  RETURN_IF_ERROR(SetIdentity(plan), "set identity");
  RETURN_IF_ERROR(OpenStdio(), "open console");
  RETURN_IF_ERROR(shim.Send(ChannelTag::kMountsDone));
  RETURN_IF_ERROR(shim.Expect(ChannelTag::kExec));
  return Annotate(Execute(plan), "start init");
}

}  // namespace

void RunInside(const LaunchPlan& plan, int netns, Channel shim) {
  shim.SendError(Run(plan, netns, shim));
  _exit(kSetupFailed);
}

}  // namespace davit
