#include "runtime/boot/unix_export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/inside/mount_api.h"

namespace davit {
namespace {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& directory) {
  UniqueFd fd(
      open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", directory);
  return fd;
}

}  // namespace

absl::Status MountUnixExport(const std::string& directory, uid_t owner) {
  if (mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST) {
    return ErrnoError("mkdir(%s)", directory);
  }
  ASSIGN_OR_RETURN(UniqueFd target, OpenDirectory(directory));
  ASSIGN_OR_RETURN(
      UniqueFd mount,
      NewMount("tmpfs",
               absl::StrCat("mode=755,size=4m,nr_inodes=64,uid=", owner,
                            ",gid=", owner),
               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  return AttachMount(mount.get(), target.get());
}

absl::Status CloseUnixExport(const std::string& directory) {
  ASSIGN_OR_RETURN(UniqueFd mount, OpenDirectory(directory));
  return SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY, false);
}

absl::Status RemoveUnixExport(const std::string& directory) {
  // Somebody may have a file of it open. EINVAL: nothing is mounted there.
  if (umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
      errno != ENOENT && errno != EINVAL) {
    return ErrnoError("umount2(%s)", directory);
  }
  if (rmdir(directory.c_str()) < 0 && errno != ENOENT) {
    return ErrnoError("rmdir(%s)", directory);
  }
  return absl::OkStatus();
}

}  // namespace davit
