#include "runtime/image/image_content.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

constexpr size_t kMaxDocumentBytes = 8 << 20;

}  // namespace

absl::StatusOr<UniqueFd> OpenContent(int layout_fd, const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("file name is empty");
  // O_NONBLOCK: a FIFO must not hold us up.
  UniqueFd fd =
      OpenBelow(layout_fd, path, O_RDONLY | O_NONBLOCK, Lookup::kBeneath);
  if (!fd) {
    if (errno == EXDEV || errno == ELOOP) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", path, "\" leads out of the archive"));
    }
    return ErrnoError("open(%s)", path);
  }
  struct stat st;
  if (fstat(fd.get(), &st) < 0) return ErrnoError("fstat(%s)", path);
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" is not a regular file"));
  }
  return fd;
}

absl::StatusOr<std::string> ReadContent(int layout_fd,
                                        const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenContent(layout_fd, path));
  ASSIGN_OR_RETURN(std::string text, ReadAll(fd.get(), kMaxDocumentBytes),
                   path);
  return text;
}

}  // namespace davit
