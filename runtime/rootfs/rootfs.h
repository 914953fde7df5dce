#ifndef DAVIT_RUNTIME_ROOTFS_ROOTFS_H_
#define DAVIT_RUNTIME_ROOTFS_ROOTFS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/rootfs/resolve.h"  // IWYU pragma: export
#include "runtime/userns/userns.h"

namespace davit {

// A writable root file system over an image's layers (overlayfs, see
// Documentation/filesystems/overlayfs.rst of the kernel).
struct OverlaySpec {
  std::vector<std::string> lower_dirs;  // topmost first
  std::string upper_dir;                // created if absent
  std::string work_dir;                 // created if absent; same file system
  std::string target;                   // the mount point; created if absent
  // With a path: for a pod with this user namespace. Its ids are 0 to 65535 in
  // the layers; upper_dir and work_dir are in one directory then.
  PodUserns userns = {};
  // fsync(2) and the like do nothing: what is written reaches the disk when the
  // kernel finds it right, as it does for who never asks. A work_dir that is
  // there is made anew, since overlayfs refuses one that was mounted so before
  // ("volatile").
  bool no_sync = false;
};

// Mounts it through libmount. AlreadyExists if something is mounted on the
// target. InvalidArgument names the offending path (a ':' or ',' in it).
// FailedPrecondition if a layer's file system cannot map ids.
absl::Status MountOverlay(const OverlaySpec& spec);

// Unmounts everything at and below `directory`, deepest first; OK when nothing
// is mounted there. Detaches (MNT_DETACH) what is busy. Uses libmount to read
// /proc/self/mountinfo.
absl::Status UnmountTree(const std::string& directory);

// The same with `unmount` for each of them, which returns false with errno if
// it failed.
absl::Status UnmountTree(
    const std::string& directory,
    const std::function<bool(const std::string& target)>& unmount);

// Mount points at and below `directory`, deepest first.
absl::StatusOr<std::vector<std::string>> ListMountsBelow(
    const std::string& directory);

}  // namespace davit

#endif  // DAVIT_RUNTIME_ROOTFS_ROOTFS_H_
