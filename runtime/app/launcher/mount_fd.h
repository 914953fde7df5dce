#ifndef DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_FD_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_FD_H_

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

// The mount API of descriptors (open_tree(2), fsopen(2), mount_setattr(2),
// move_mount(2); Linux 5.12): a mount is made detached, gets its attributes,
// and is attached to an open target, so that no path of a stranger's root is
// ever looked up by mount(2).

namespace davit {

// A detached copy of what is mounted at `path`, with its submounts if
// `recursive`: a bind mount that has no place yet. NotFound if there is none.
absl::StatusOr<UniqueFd> CloneTree(int directory_fd, const std::string& path,
                                   bool recursive);

// A detached new file system with MOUNT_ATTR_* `attributes`.
absl::StatusOr<UniqueFd> NewFilesystem(
    const std::string& type,
    const std::vector<std::pair<std::string, std::string>>& options,
    uint64_t attributes);

// Adds MOUNT_ATTR_* to a mount, and to those below it if `recursive`.
absl::Status AddMountAttributes(int mount_fd, uint64_t attributes,
                                bool recursive);

// Puts a detached mount on what `target_fd` is open on. `target` is its name
// for the error.
absl::Status AttachMount(int mount_fd, int target_fd,
                         const std::string& target);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_MOUNT_FD_H_
