#include "runtime/boot/inside/inside.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/become_init.h"
#include "runtime/boot/inside/build_tree.h"

namespace davit {
namespace {

constexpr int kSetupFailed = 70;  // EX_SOFTWARE; seen by nobody but the shim

absl::Status Run(const LaunchPlan& plan, int netns, int bare_mounts,
                 Channel& shim) {
  umask(0);
  RETURN_IF_ERROR(JoinPod(plan, netns));
  // After the entry into the payload cgroup: that is now the root of /proc/PID/
  // cgroup and of every cgroup mount.
  if (unshare(CLONE_NEWCGROUP) < 0) {
    return ErrnoError("unshare(CLONE_NEWCGROUP)");
  }
  ASSIGN_OR_RETURN(HostParts parts, OpenHostParts(plan, -1),
                   "build file system tree");
  RETURN_IF_ERROR(EnterBareMounts(bare_mounts));
  RETURN_IF_ERROR(BuildTree(plan, parts, shim), "build file system tree");
  RETURN_IF_ERROR(ShareTree());
  return BecomeInit(plan, shim);
}

}  // namespace

void RunInside(const LaunchPlan& plan, int netns, int bare_mounts,
               Channel shim) {
  shim.SendError(Run(plan, netns, bare_mounts, shim));
  _exit(kSetupFailed);
}

}  // namespace davit
