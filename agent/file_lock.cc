#include "agent/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// The holder writes its pid for people; nothing relies on it.
std::string HolderOf(int fd) {
  std::string text = ReadAll(fd, 64).value_or("");
  int pid = 0;
  if (!absl::SimpleAtoi(text, &pid)) return "";
  return absl::StrCat(" (pid ", pid, ")");
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path,
                                           const std::string& what) {
  UniqueFd fd(
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoError("open(%s, O_RDWR | O_CREAT)", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("flock(%s, LOCK_EX)", path);
    return absl::FailedPreconditionError(
        absl::StrCat(what, " belongs to another agent", HolderOf(fd.get()),
                     ", which holds ", path));
  }
  if (ftruncate(fd.get(), 0) < 0) return ErrnoError("ftruncate(%s, 0)", path);
  RETURN_IF_ERROR(WriteAll(fd.get(), absl::StrCat(getpid(), "\n")),
                  absl::StrCat("write ", path));
  return FileLock(std::move(fd));
}

}  // namespace davit
