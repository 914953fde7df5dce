#include "runtime/boot/bare_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <system_error>
#include <thread>

#include "absl/status/status.h"
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

absl::Status ChangeRoot(int root) {
  UniqueFd stage(open(kStage, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!stage) return ErrnoError("open(%s)", kStage);
  RETURN_IF_ERROR(AttachMount(root, stage.get()));
  if (fchdir(root) < 0) return ErrnoError("fchdir(new root)");
  // Puts the old root on top of the new one, without a directory for it.
  if (syscall(SYS_pivot_root, ".", ".") < 0) return ErrnoError("pivot_root");
  if (umount2(".", MNT_DETACH) < 0) return ErrnoError("umount2(old root)");
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MakeOnThisThread() {
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  UniqueFd mounts(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!mounts) return ErrnoError("open(/proc/thread-self/ns/mnt)");
  ASSIGN_OR_RETURN(UniqueFd root, NewRoot());
  RETURN_IF_ERROR(ChangeRoot(root.get()));
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
