#ifndef DAVIT_RUNTIME_IMAGE_TREE_COPY_H_
#define DAVIT_RUNTIME_IMAGE_TREE_COPY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/layer_unpacker.h"
#include "runtime/image/read_progress.h"

namespace davit {

// Copies the tree below `from_fd` into the empty directory `to`: owners, modes,
// times, kept xattrs, hard links and holes stay; contents are shared where the
// file system can (FICLONE), else copied in the kernel. Sockets and other
// mounts' files are left out, mount points become empty directories. The tree
// should be at rest; Aborted if a file changes its type meanwhile.
absl::StatusOr<UnpackedTree> CopyTree(int from_fd, UniqueFd to,
                                      const UnpackLimits& limits,
                                      ReadProgress* progress);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_TREE_COPY_H_
