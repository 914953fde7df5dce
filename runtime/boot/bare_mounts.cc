#include "runtime/boot/bare_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/mount_api.h"

namespace davit {
namespace {

// Any directory that each system has: something to stand on until the pivot.
constexpr char kStage[] = "/proc";

absl::StatusOr<UniqueFd> NewRoot() {
  ASSIGN_OR_RETURN(UniqueFd root,
                   NewMount("tmpfs", "mode=755,size=4k,nr_inodes=4", 0));
  if (mkdirat(root.get(), kBareMountPoint + 1, 0755) < 0) {
    return ErrnoError("mkdir(%s)", kBareMountPoint);
  }
  return root;
}

absl::StatusOr<UniqueFd> MakeOnThisThread() {
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  UniqueFd mounts(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!mounts) return ErrnoError("open(/proc/thread-self/ns/mnt)");
  ASSIGN_OR_RETURN(UniqueFd root, NewRoot());
  RETURN_IF_ERROR(PivotInto(root.get(), kStage));
  return mounts;
}

}  // namespace

absl::StatusOr<UniqueFd> NewBareMounts() {
  absl::StatusOr<UniqueFd> mounts = absl::UnknownError("no thread");
  try {
    std::thread([&mounts] { mounts = MakeOnThisThread(); }).join();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("std::thread: ", error.what()));
  }
  RETURN_IF_ERROR(mounts.status(), "make bare mount namespace");
  return mounts;
}

}  // namespace davit
