#include "runtime/userns/file_owner.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"

namespace davit {

absl::Status CreateFilesAs(uid_t uid, gid_t gid) {
  setfsgid(gid);
  setfsuid(uid);
  // They report no errors, but say with an invalid id what is in force.
  if (setfsgid(static_cast<gid_t>(-1)) != static_cast<int>(gid) ||
      setfsuid(static_cast<uid_t>(-1)) != static_cast<int>(uid)) {
    return absl::PermissionDeniedError(
        absl::StrCat("setfsuid(", uid, "), setfsgid(", gid, "): refused"));
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) < 0) return ErrnoError("capget");
  for (auto& half : data) half.effective = half.permitted;
  if (syscall(SYS_capset, &header, data) < 0) {
    return ErrnoError("capset(effective=permitted)");
  }
  return absl::OkStatus();
}

}  // namespace davit
