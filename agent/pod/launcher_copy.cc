#include "agent/pod/launcher_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// Not synced: each agent makes it anew. Within the kernel: as a string it would
// blow up the heap.
absl::Status CopyProgram(const std::string& from, const std::string& to) {
  UniqueFd in(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return ErrnoError("open(%s)", from);
  RETURN_IF_ERROR(RemoveFile(to));
  UniqueFd out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555));
  if (!out) return ErrnoError("open(%s, O_CREAT)", to);
  ssize_t n;
  do {
    n = sendfile(out.get(), in.get(), nullptr, size_t{64} << 20);
  } while (n > 0 || (n < 0 && errno == EINTR));
  if (n < 0) return ErrnoError("sendfile(%s, %s)", to, from);
  return absl::OkStatus();
}

}  // namespace

absl::Status LauncherCopy::MakeOnce() {
  absl::MutexLock lock(&mutex_);
  if (made_) return absl::OkStatus();
  RETURN_IF_ERROR(MakeDirectories(directory_));
  const std::string name = absl::StrCat(directory_, "/davit-app");
  const std::string fresh = absl::StrCat(name, ".new");
  RETURN_IF_ERROR(CopyProgram(program_, fresh));
  // Pods of an earlier agent keep the file that they have a link to.
  if (rename(fresh.c_str(), name.c_str()) < 0) {
    return ErrnoError("rename(%s, %s)", fresh, name);
  }
  made_ = true;
  return absl::OkStatus();
}

absl::Status LauncherCopy::LinkTo(const std::string& to) {
  RETURN_IF_ERROR(MakeOnce(), "copy app launcher");
  RETURN_IF_ERROR(RemoveFile(to));
  const std::string name = absl::StrCat(directory_, "/davit-app");
  if (link(name.c_str(), to.c_str()) == 0) return absl::OkStatus();
  // Another file system, one without links, or 65,000 of them already.
  if (errno == EXDEV || errno == EPERM || errno == EMLINK) {
    return CopyProgram(name, to);
  }
  return ErrnoError("link(%s, %s)", name, to);
}

}  // namespace davit
