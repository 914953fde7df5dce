#ifndef DAVIT_RUNTIME_ROOTFS_IDMAPPED_OVERLAY_H_
#define DAVIT_RUNTIME_ROOTFS_IDMAPPED_OVERLAY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/userns/userns.h"

namespace davit {

// Layers of an overlay for a pod with a user namespace.
struct IdmappedOverlay {
  std::vector<std::string> lower_dirs;  // topmost first
  std::string upper_dir;  // exists; beside work_dir, in one parent
  std::string work_dir;   // exists
  std::string target;     // exists
  PodUserns userns;
  bool no_sync = false;
};

// Mounts an overlay whose layers are seen through the user namespace
// (mount_setattr(2), MOUNT_ATTR_IDMAP): ids 0 to 65535 on disk are the pod's
// ids, nothing is chowned. FailedPrecondition names a layer whose file system
// cannot do that, and says so if the result came out read-only.
absl::Status MountIdmappedOverlay(const IdmappedOverlay& overlay);

}  // namespace davit

#endif  // DAVIT_RUNTIME_ROOTFS_IDMAPPED_OVERLAY_H_
