#include "net/plugins/pod_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "runtime/base/errno_error.h"

namespace davit {

absl::StatusOr<UniqueFd> OpenPodNetns(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOTDIR) errno = ENOENT;
    return ErrnoError("failed to open netns \"%s\"", path);
  }
  // ioctl_ns(2); any other kind of file answers ENOTTY.
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return absl::NotFoundError(absl::StrFormat(
        "failed to open netns \"%s\": not a network namespace", path));
  }
  return fd;
}

}  // namespace davit
