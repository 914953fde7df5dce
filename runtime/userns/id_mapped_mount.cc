#include "runtime/userns/id_mapped_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"

namespace davit {
namespace {

constexpr int kRecursive = 0x8000;  // AT_RECURSIVE of <linux/fcntl.h>

}  // namespace

absl::Status MapMountIds(int mount, int userns, bool recursive) {
  mount_attr change = {.attr_set = MOUNT_ATTR_IDMAP,
                       .attr_clr = 0,
                       .propagation = 0,
                       .userns_fd = static_cast<__u64>(userns)};
  unsigned flags = AT_EMPTY_PATH | (recursive ? kRecursive : 0);
  if (mount_setattr(mount, "", flags, &change, sizeof(change)) == 0) {
    return absl::OkStatus();
  }
  int error = errno;
  absl::Status status = ErrorNumber(error, "mount_setattr(MOUNT_ATTR_IDMAP)");
  // EPERM: it is mapped already.
  if (error != EINVAL && error != EPERM) return status;
  return absl::FailedPreconditionError(absl::StrCat(
      status.message(), ": its file system cannot map ids on this kernel"));
}

}  // namespace davit
