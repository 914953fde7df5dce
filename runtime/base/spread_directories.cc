#include "runtime/base/spread_directories.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "runtime/base/errno_error.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

bool IsUnknownHere(int error) {
  return error == ENOTTY || error == EOPNOTSUPP || error == EINVAL;
}

}  // namespace

absl::Status SpreadSubdirectories(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoError("open(%s, O_DIRECTORY)", path);
  int flags = 0;
  if (ioctl(directory.get(), FS_IOC_GETFLAGS, &flags) < 0) {
    if (IsUnknownHere(errno)) return absl::OkStatus();
    return ErrnoError("ioctl(%s, FS_IOC_GETFLAGS)", path);
  }
  if ((flags & FS_TOPDIR_FL) != 0) return absl::OkStatus();
  flags |= FS_TOPDIR_FL;
  if (ioctl(directory.get(), FS_IOC_SETFLAGS, &flags) < 0 &&
      !IsUnknownHere(errno)) {
    return ErrnoError("ioctl(%s, FS_IOC_SETFLAGS)", path);
  }
  return absl::OkStatus();
}

}  // namespace davit
