#ifndef DAVIT_RUNTIME_BOOT_INSIDE_POD_ROOT_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_POD_ROOT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A root directory whose content is not trusted: paths are looked up below it
// (openat2(2), RESOLVE_IN_ROOT) and never through magic links of /proc, which
// could lead to a descriptor of ours.
class PodRoot {
 public:
  // NotFound; `path` is opened O_PATH.
  static absl::StatusOr<PodRoot> Open(const std::string& path);

  // open(2) of an absolute path in the root, O_CLOEXEC. Symlinks are followed,
  // except the last with O_NOFOLLOW.
  absl::StatusOr<UniqueFd> OpenAt(const std::string& path, int flags,
                                  mode_t mode = 0) const;

  // The directory `path`, made with its parents where missing. `mode` is for
  // the last; parents get 0755; existing ones keep theirs.
  absl::StatusOr<UniqueFd> MakeDirectory(const std::string& path,
                                         mode_t mode) const;
  // The directory that holds the last component of `path`, made if missing.
  absl::StatusOr<UniqueFd> MakeParent(const std::string& path) const;

  // An O_PATH descriptor of the mount point `path`, made as a directory or as
  // an empty file if missing.
  absl::StatusOr<UniqueFd> MakeMountPoint(const std::string& path,
                                          bool directory) const;

 private:
  explicit PodRoot(UniqueFd root) : root_(std::move(root)) {}
  UniqueFd root_;
};

// The last component of an absolute path: "c" of "/a/b/c".
std::string BaseName(const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_POD_ROOT_H_
