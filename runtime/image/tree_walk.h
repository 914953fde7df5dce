#ifndef DAVIT_RUNTIME_IMAGE_TREE_WALK_H_
#define DAVIT_RUNTIME_IMAGE_TREE_WALK_H_

#include <sys/stat.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// One file of a walk. Valid during the visit.
struct TreeEntry {
  std::string path;  // relative to the walk's root, which is ""
  int parent_fd;     // O_PATH directory; the root itself for the root
  std::string name;  // in parent_fd; "." for the root
  struct stat st;    // of the file itself, symlinks are not followed
  bool mount_point;  // of another mount, a bind mount included; not entered
};

// Visits `root_fd` and all below it, a directory before what is in it, names in
// byte order: the same tree gives the same walk. Follows no symlink and enters
// no other mount. Errors of `visit` end the walk; others name the path.
absl::Status WalkTree(int root_fd,
                      absl::FunctionRef<absl::Status(const TreeEntry&)> visit);

// Opens the regular file or directory of a visit for reading; Aborted if it has
// become something else meanwhile.
absl::StatusOr<UniqueFd> OpenEntry(const TreeEntry& entry);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_TREE_WALK_H_
