#include "runtime/boot/inside/mount_api.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kRecursive = 0x8000;  // AT_RECURSIVE of <linux/fcntl.h>

// An error of `call` with what the kernel has logged to the context: "e tmpfs:
// Bad value for 'size'".
absl::Status ContextError(int context, absl::string_view call) {
  absl::Status status = ErrnoError("%s", call);
  char log[512];
  ssize_t n = read(context, log, sizeof(log));
  if (n <= 0) return status;
  absl::string_view text(log, static_cast<size_t>(n));
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), " (", text, ")"));
}

absl::Status Configure(int context, const std::string& option) {
  std::pair<std::string, std::string> pair =
      absl::StrSplit(option, absl::MaxSplits('=', 1));
  bool flag = option.find('=') == std::string::npos;
  int result =
      flag ? fsconfig(context, FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0)
           : fsconfig(context, FSCONFIG_SET_STRING, pair.first.c_str(),
                      pair.second.c_str(), 0);
  if (result < 0) {
    return ContextError(context, absl::StrCat("fsconfig(", option, ")"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> NewMount(const std::string& type,
                                  const std::string& options,
                                  uint64_t attributes) {
  UniqueFd context(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context) return ErrnoError("fsopen(%s)", type);
  RETURN_IF_ERROR(Configure(context.get(), absl::StrCat("source=", type)));
  for (const std::string& option : std::vector<std::string>(
           absl::StrSplit(options, ',', absl::SkipEmpty()))) {
    RETURN_IF_ERROR(Configure(context.get(), option), type);
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
    return ContextError(context.get(),
                        absl::StrCat("fsconfig(", type, ", CREATE)"));
  }
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC,
                         static_cast<unsigned>(attributes)));
  if (!mount) {
    return ContextError(context.get(),
                        absl::StrFormat("fsmount(%s, %#x)", type, attributes));
  }
  return mount;
}

absl::StatusOr<UniqueFd> CloneMount(int at, const std::string& path,
                                    bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) flags |= kRecursive;
  if (path.empty()) flags |= AT_EMPTY_PATH;
  UniqueFd mount(open_tree(at, path.c_str(), flags));
  if (!mount) return ErrnoError("open_tree(%s, OPEN_TREE_CLONE)", path);
  return mount;
}

absl::Status SetMountAttributes(int mount, uint64_t attributes,
                                bool recursive) {
  mount_attr change = {.attr_set = attributes};
  unsigned flags = AT_EMPTY_PATH | (recursive ? kRecursive : 0);
  if (mount_setattr(mount, "", flags, &change, sizeof(change)) < 0) {
    return ErrnoError("mount_setattr(%#x)", attributes);
  }
  return absl::OkStatus();
}

absl::Status MakeMountPrivate(int mount) {
  mount_attr change = {.attr_set = 0, .attr_clr = 0, .propagation = MS_PRIVATE};
  if (mount_setattr(mount, "", AT_EMPTY_PATH | kRecursive, &change,
                    sizeof(change)) < 0) {
    return ErrnoError("mount_setattr(MS_PRIVATE)");
  }
  return absl::OkStatus();
}

absl::Status AttachMount(int mount, int target) {
  if (move_mount(mount, "", target, "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    return ErrnoError("move_mount");
  }
  return absl::OkStatus();
}

absl::Status PivotInto(int mount, const std::string& target) {
  UniqueFd directory(open(target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoError("open(%s)", target);
  RETURN_IF_ERROR(AttachMount(mount, directory.get()));
  if (fchdir(mount) < 0) return ErrnoError("fchdir(new root)");
  // Puts the old root on top of the new one, without a directory for it.
  if (syscall(SYS_pivot_root, ".", ".") < 0) return ErrnoError("pivot_root");
  if (umount2(".", MNT_DETACH) < 0) return ErrnoError("umount2(old root)");
  if (chdir("/") < 0) return ErrnoError("chdir(/)");
  return absl::OkStatus();
}

}  // namespace davit
