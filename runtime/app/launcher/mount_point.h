#ifndef DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_POINT_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_POINT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

// Paths in a root that strangers wrote. They are looked up as a process would
// that is chrooted there (openat2(2) RESOLVE_IN_ROOT): an image's symlinks can
// lead anywhere in the image and nowhere else.

namespace davit {

// Opens (O_PATH) a directory below `root_fd`, making what is missing of it with
// `mode`. `path` is absolute, as seen in the root.
absl::StatusOr<UniqueFd> OpenOrMakeDirectory(int root_fd,
                                             const std::string& path,
                                             mode_t mode = 0755);

// Opens (O_PATH) a file to mount on, made empty if it is missing. A symlink
// that leads nowhere is replaced.
absl::StatusOr<UniqueFd> OpenOrMakeFile(int root_fd, const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_POINT_H_
