#include "runtime/cgroup/unified_mount.h"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

bool IsUnified(const std::string& directory) {
  struct statfs info;
  return statfs(directory.c_str(), &info) == 0 &&
         info.f_type == CGROUP2_SUPER_MAGIC;
}

// The options hold for the hierarchy wherever it is mounted, so these are the
// ones that systemd gives it.
absl::Status MountUnified(const std::string& directory) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount(kOwnCgroupMount, directory.c_str(), "cgroup2", kFlags,
            "nsdelegate") < 0) {
    return ErrnoError("mount(%s, cgroup2, nsdelegate)", directory);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const UnifiedMount>> UnifiedMount::Make(
    const std::string& directory, const std::string& parent) {
  if (directory.empty()) {
    return absl::FailedPreconditionError(
        "this machine mounts no cgroup v2, and there is no directory for one");
  }
  if (!IsUnified(directory)) {
    RETURN_IF_ERROR(MakeDirectories(directory, 0700));
    RETURN_IF_ERROR(MountUnified(directory), "cgroup v2 of our own");
  }
  CgroupHierarchy hierarchy{.v2 = true,
                            .mount_point = directory,
                            .own_path = "/",
                            .own_dir = directory};
  return std::shared_ptr<const UnifiedMount>(
      new UnifiedMount(std::move(hierarchy), directory + "/" + parent));
}

UnifiedMount::~UnifiedMount() {
  if (PathExists(pods_)) return;
  // If it stays, the next agent takes it over. The directory does stay: to
  // remove it would unmount it from all namespaces, another agent's too.
  umount2(hierarchy_.mount_point.c_str(), UMOUNT_NOFOLLOW);
}

}  // namespace davit
