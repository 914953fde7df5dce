#include "runtime/boot/inside/build_tree.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/bare_mounts.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/boot/inside/pod_root.h"

namespace davit {
namespace {

// pivot_root(2) into the root image with what is mounted below it.
absl::Status ChangeRoot(int root) {
  UniqueFd target(open(kBareMountPoint, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!target) return ErrnoError("open(%s)", kBareMountPoint);
  RETURN_IF_ERROR(AttachMount(root, target.get()));
  if (fchdir(root) < 0) return ErrnoError("fchdir(root)");
  // Puts the old root on top of the new one, without a directory for it.
  if (syscall(SYS_pivot_root, ".", ".") < 0) return ErrnoError("pivot_root");
  if (umount2(".", MNT_DETACH) < 0) return ErrnoError("umount2(old root)");
  if (chdir("/") < 0) return ErrnoError("chdir(/)");
  return absl::OkStatus();
}

// An overlay whose upper layer it cannot write to mounts nonetheless.
absl::Status CheckWritable(const std::string& root) {
  struct statvfs info;
  if (statvfs("/", &info) < 0) return ErrnoError("statvfs(/)");
  if ((info.f_flag & ST_RDONLY) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("root ", root, " is read-only"));
}

}  // namespace

absl::StatusOr<HostParts> OpenHostParts(const LaunchPlan& plan, int userns) {
  HostParts parts;
  ASSIGN_OR_RETURN(parts.root, CloneMount(AT_FDCWD, plan.root, true), "root");
  RETURN_IF_ERROR(MakeMountPrivate(parts.root.get()), "root");
  ASSIGN_OR_RETURN(parts.mounts, OpenHostMounts(plan.steps, userns));
  return parts;
}

absl::Status EnterBareMounts(int bare) {
  if (setns(bare, CLONE_NEWNS) < 0) return ErrnoError("setns(CLONE_NEWNS)");
  // That one is for all pods.
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  return absl::OkStatus();
}

absl::Status BuildTree(const LaunchPlan& plan, const HostParts& parts,
                       Channel& shim) {
  RETURN_IF_ERROR(ChangeRoot(parts.root.get()), plan.root);
  RETURN_IF_ERROR(CheckWritable(plan.root));
  ASSIGN_OR_RETURN(PodRoot root, PodRoot::Open("/"));
  return ApplyFsSteps(plan.steps, root, parts.mounts, shim);
}

absl::Status ShareTree() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_SHARED)");
  }
  return absl::OkStatus();
}

}  // namespace davit
