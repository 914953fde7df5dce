#include "runtime/boot/inside/build_tree.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/bare_mounts.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/boot/inside/pod_root.h"

namespace davit {
namespace {

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
  RETURN_IF_ERROR(PivotInto(parts.root.get(), kBareMountPoint), plan.root);
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
