#include "net/netns/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Runs `fn` on a thread that ends with it, and its namespaces with the thread.
absl::Status OnThreadMadeForIt(const std::function<absl::Status()>& fn) {
  absl::Status status;
  try {
    std::thread([&] { status = fn(); }).join();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("std::thread: ", error.what()));
  }
  return status;
}

// netdevice(7)
absl::Status BringLoopbackUp() {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd) return ErrnoError("socket(AF_INET, SOCK_DGRAM)");
  ifreq request = {};
  memcpy(request.ifr_name, "lo", sizeof("lo"));
  if (ioctl(socket_fd.get(), SIOCGIFFLAGS, &request) < 0) {
    return ErrnoError("ioctl(SIOCGIFFLAGS, lo)");
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) < 0) {
    return ErrnoError("ioctl(SIOCSIFFLAGS, lo, up)");
  }
  return absl::OkStatus();
}

// The calling thread leaves its namespace for that of `fd`, or for a new one if
// it is negative, and pins that.
absl::Status LeaveAndPin(const std::string& path, int fd) {
  if (fd < 0 && unshare(CLONE_NEWNET) < 0) {
    return ErrnoError("unshare(CLONE_NEWNET)");
  }
  if (fd >= 0 && setns(fd, CLONE_NEWNET) < 0) {
    return ErrnoError("setns(%d, CLONE_NEWNET)", fd);
  }
  RETURN_IF_ERROR(BringLoopbackUp());
  // Not /proc/self: that is the main thread, which is still where it was.
  // /proc/thread-self is /proc/<pid>/task/<tid> also when this /proc belongs to
  // another pid namespace than ours, where gettid(2) would name a stranger.
  if (mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND,
            nullptr) < 0) {
    return ErrnoError("mount(/proc/thread-self/ns/net, %s, MS_BIND)", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Netns> Netns::Create(const std::string& path) {
  return MakePin(path, -1);
}

absl::StatusOr<Netns> Netns::Adopt(const std::string& path, int fd) {
  if (fd < 0) return absl::InvalidArgumentError("adopt netns: no descriptor");
  return MakePin(path, fd);
}

absl::StatusOr<Netns> Netns::MakePin(const std::string& path, int fd) {
  if (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
    RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash)));
  }
  UniqueFd file(
      open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file) return ErrnoError("open(%s, O_CREAT | O_EXCL)", path);
  Rollback rollback;  // from here on the file is ours, not before
  rollback.Add("remove pin", [&path] { return Remove(path); });
  file.Reset();
  RETURN_IF_ERROR(OnThreadMadeForIt([&] { return LeaveAndPin(path, fd); }));
  ASSIGN_OR_RETURN(Netns netns, Open(path));
  rollback.Commit();
  return netns;
}

absl::StatusOr<Netns> Netns::Open(const std::string& path) {
  // O_NONBLOCK: a fifo in the place of a pin must not hold us up.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", path);
  struct statfs fs;
  if (fstatfs(fd.get(), &fs) < 0) return ErrnoError("fstatfs(%s)", path);
  if (fs.f_type != NSFS_MAGIC) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s is not a namespace (file system magic %#x)", path, fs.f_type));
  }
  int type = ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) return ErrnoError("ioctl(%s, NS_GET_NSTYPE)", path);
  if (type != CLONE_NEWNET) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s is not a network namespace (type %#x)", path, type));
  }
  return Netns(path, std::move(fd));
}

absl::Status Netns::Remove(const std::string& path) {
  // Once for each mount, should somebody have stacked another on top. EINVAL:
  // no mount, only the file. MNT_DETACH: others may have the pin open.
  while (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // ENOTDIR: a file is in the place of the directory, so there is no pin.
  if (errno == ENOTDIR) return absl::OkStatus();
  if (errno != EINVAL && errno != ENOENT) {
    return ErrnoError("umount2(%s, MNT_DETACH)", path);
  }
  return RemoveFile(path);
}

absl::Status Netns::Run(const std::function<absl::Status()>& fn) const {
  return OnThreadMadeForIt([&]() -> absl::Status {
    if (setns(fd_.get(), CLONE_NEWNET) < 0) {
      return ErrnoError("setns(%s, CLONE_NEWNET)", path_);
    }
    return fn();
  });
}

}  // namespace davit
