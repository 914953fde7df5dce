#include "runtime/app/launcher/mount_fd.h"

#include <fcntl.h>

#include "runtime/base/errno_error.h"

namespace davit {

absl::StatusOr<UniqueFd> CloneTree(int directory_fd, const std::string& path,
                                   bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) flags |= AT_RECURSIVE;
  UniqueFd fd(open_tree(directory_fd, path.c_str(), flags));
  if (!fd) return ErrnoError("open_tree(%s, OPEN_TREE_CLONE)", path);
  return fd;
}

absl::StatusOr<UniqueFd> NewFilesystem(
    const std::string& type,
    const std::vector<std::pair<std::string, std::string>>& options,
    uint64_t attributes) {
  UniqueFd context(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context) return ErrnoError("fsopen(%s)", type);
  for (const auto& [key, value] : options) {
    if (fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(),
                 0) < 0) {
      return ErrnoError("fsconfig(%s, %s=%s)", type, key, value);
    }
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
    return ErrnoError("fsconfig(%s, FSCONFIG_CMD_CREATE)", type);
  }
  UniqueFd fd(fsmount(context.get(), FSMOUNT_CLOEXEC,
                      static_cast<unsigned>(attributes)));
  if (!fd) return ErrnoError("fsmount(%s, %#x)", type, attributes);
  return fd;
}

absl::Status AddMountAttributes(int mount_fd, uint64_t attributes,
                                bool recursive) {
  struct mount_attr change = {};
  change.attr_set = attributes;
  unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  if (mount_setattr(mount_fd, "", flags, &change, sizeof(change)) < 0) {
    return ErrnoError("mount_setattr(%#x)", attributes);
  }
  return absl::OkStatus();
}

absl::Status AttachMount(int mount_fd, int target_fd,
                         const std::string& target) {
  if (move_mount(mount_fd, "", target_fd, "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    return ErrnoError("move_mount(%s)", target);
  }
  return absl::OkStatus();
}

}  // namespace davit
