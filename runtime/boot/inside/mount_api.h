#ifndef DAVIT_RUNTIME_BOOT_INSIDE_MOUNT_API_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_MOUNT_API_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

// The descriptor-based mount calls (fsopen(2), open_tree(2), mount_setattr(2),
// move_mount(2); Linux 5.12). A mount that is attached nowhere yet is a
// descriptor and goes away with it. No path of the pod is ever given to them,
// so none can lead outside.

namespace davit {

// A new file system. `options` as for mount(8), "mode=755,size=4m"; errors
// carry the kernel's own words. `attributes` are MOUNT_ATTR_*, of the mount
// alone.
absl::StatusOr<UniqueFd> NewMount(const std::string& type,
                                  const std::string& options,
                                  uint64_t attributes);

// A copy of the mount at `path` relative to `at`; with an empty path, of `at`
// itself. `recursive`: with what is mounted below.
absl::StatusOr<UniqueFd> CloneMount(int at, const std::string& path,
                                    bool recursive);

// Sets attributes of a mount; clears none.
absl::Status SetMountAttributes(int mount, uint64_t attributes, bool recursive);

// Cuts a mount and what is below it off from the copies that it is one of: what
// is mounted in one is not seen in the others.
absl::Status MakeMountPrivate(int mount);

// Attaches `mount` at the directory or file `target` (an O_PATH descriptor).
absl::Status AttachMount(int mount, int target);

// Attaches `mount` at the directory `target` and makes it the root of the mount
// namespace, and of all processes in it; what was the root before is gone.
// pivot_root(2).
absl::Status PivotInto(int mount, const std::string& target);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_MOUNT_API_H_
