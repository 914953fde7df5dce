#ifndef DAVIT_AGENT_POD_ROOTFS_OPS_H_
#define DAVIT_AGENT_POD_ROOTFS_OPS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/userns/userns.h"

namespace davit {

// What a pod's start needs of runtime/rootfs, to be replaced in tests. The
// first three mean what the functions of the same names in
// runtime/rootfs/rootfs.h mean; so do the last two. Thread-safe.
class RootfsOps {
 public:
  virtual ~RootfsOps() = default;

  virtual absl::Status MountOverlay(const OverlaySpec& spec) = 0;
  virtual absl::Status UnmountTree(const std::string& directory) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListMountsBelow(
      const std::string& directory) = 0;

  // Makes the directory `path` (absolute, as seen inside) below `root`, with
  // its parents, for use as a mount point. Follows no symlink: an image or a
  // pod's last run cannot lead a mount out of its root. FailedPrecondition
  // names the first part that is something else than a directory. What is made
  // is the root's of `userns`.
  virtual absl::Status MakeMountPoint(const std::string& root,
                                      const std::string& path,
                                      const PodUserns& userns) = 0;

  virtual absl::StatusOr<std::string> ResolveCommand(
      const std::string& root, const std::string& command,
      const std::string& path_variable, const std::string& working_dir) = 0;
  virtual absl::StatusOr<ResolvedUser> ResolveUser(const std::string& root,
                                                   const std::string& user) = 0;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_ROOTFS_OPS_H_
