#include "runtime/app/launcher/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

constexpr int kDirectory = O_PATH | O_DIRECTORY;

}  // namespace

absl::StatusOr<UniqueFd> OpenOrMakeDirectory(int root_fd,
                                             const std::string& path,
                                             mode_t mode) {
  UniqueFd current = OpenBelow(root_fd, ".", kDirectory, Lookup::kInRoot);
  if (!current) return ErrnoError("openat2(root of %s)", path);
  std::string walked;
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (const std::string& part : parts) {
    absl::StrAppend(&walked, "/", part);
    // From the root each time: only so may a symlink's ".." be resolved.
    UniqueFd next = OpenBelow(root_fd, walked, kDirectory, Lookup::kInRoot);
    if (!next && errno == ENOENT) {
      if (mkdirat(current.get(), part.c_str(), mode) < 0 && errno != EEXIST) {
        return ErrnoError("mkdir(%s)", walked);
      }
      next = OpenBelow(root_fd, walked, kDirectory, Lookup::kInRoot);
    }
    if (!next) return ErrnoError("openat2(%s, O_DIRECTORY)", walked);
    current = std::move(next);
  }
  return current;
}

absl::StatusOr<UniqueFd> OpenOrMakeFile(int root_fd, const std::string& path) {
  UniqueFd found = OpenBelow(root_fd, path, O_PATH, Lookup::kInRoot);
  if (found) return found;
  if (errno != ENOENT) return ErrnoError("openat2(%s, O_PATH)", path);
  size_t slash = path.rfind('/');
  std::string name = path.substr(slash + 1);
  ASSIGN_OR_RETURN(UniqueFd directory,
                   OpenOrMakeDirectory(root_fd, path.substr(0, slash)));
  if (unlinkat(directory.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s)", path);
  }
  UniqueFd made(openat(directory.get(), name.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       0644));
  if (!made) return ErrnoError("open(%s, O_CREAT)", path);
  UniqueFd place(
      openat(directory.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place) return ErrnoError("open(%s, O_PATH)", path);
  return place;
}

}  // namespace davit
