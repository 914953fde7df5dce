#include "runtime/boot/inside/build_tree.h"

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/fs_steps.h"
#include "runtime/boot/inside/pod_root.h"

namespace davit {
namespace {

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

// An overlay whose upper layer it cannot write to mounts nonetheless.
absl::Status CheckWritable(const std::string& root) {
  struct statvfs info;
  if (statvfs("/", &info) < 0) return ErrnoError("statvfs(/)");
  if ((info.f_flag & ST_RDONLY) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("root ", root, " is read-only"));
}

}  // namespace

absl::Status SeparateMounts() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  return absl::OkStatus();
}

absl::Status BuildTree(const LaunchPlan& plan, int userns, Channel& shim) {
  ASSIGN_OR_RETURN(HostMounts host_mounts, OpenHostMounts(plan.steps, userns));
  RETURN_IF_ERROR(ChangeRoot(plan.root));
  RETURN_IF_ERROR(CheckWritable(plan.root));
  ASSIGN_OR_RETURN(PodRoot root, PodRoot::Open("/"));
  return ApplyFsSteps(plan.steps, root, host_mounts, shim);
}

absl::Status ShareTree() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_SHARED)");
  }
  return absl::OkStatus();
}

}  // namespace davit
