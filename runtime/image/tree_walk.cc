#include "runtime/image/tree_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

// Each level holds a descriptor open.
constexpr int kMaxDepth = 256;

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

absl::StatusOr<std::vector<std::string>> SortedNames(UniqueFd directory) {
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(directory.get()));
  if (dir == nullptr) return ErrnoError("fdopendir");
  directory.Release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return ErrnoError("readdir");
  std::sort(names.begin(), names.end());
  return names;
}

// st_dev cannot tell a bind mount of the same file system; the kernel can.
absl::StatusOr<bool> IsMountPoint(int parent_fd, const std::string& name) {
  UniqueFd fd =
      OpenBelow(parent_fd, name, O_PATH | O_NOFOLLOW, Lookup::kSameMount);
  if (fd) return false;
  if (errno == EXDEV) return true;
  return ErrnoError("openat2");
}

class Walker {
 public:
  explicit Walker(absl::FunctionRef<absl::Status(const TreeEntry&)> visit)
      : visit_(visit) {}

  absl::Status Walk(TreeEntry& entry, int depth) {
    RETURN_IF_ERROR(visit_(entry));
    if (!S_ISDIR(entry.st.st_mode) || entry.mount_point) {
      return absl::OkStatus();
    }
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError(absl::StrCat(
          entry.path, " is deeper than ", kMaxDepth, " directories"));
    }
    ASSIGN_OR_RETURN(UniqueFd directory, OpenEntry(entry));
    UniqueFd for_names(
        openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!for_names) return ErrnoError("open(%s)", entry.path);
    ASSIGN_OR_RETURN(std::vector<std::string> names,
                     SortedNames(std::move(for_names)), entry.path);
    for (std::string& name : names) {
      TreeEntry child;
      child.path =
          entry.path.empty() ? name : absl::StrCat(entry.path, "/", name);
      child.parent_fd = directory.get();
      child.name = std::move(name);
      RETURN_IF_ERROR(WalkChild(child, depth + 1));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status WalkChild(TreeEntry& child, int depth) {
    if (fstatat(child.parent_fd, child.name.c_str(), &child.st,
                AT_SYMLINK_NOFOLLOW) < 0) {
      return ErrnoError("fstatat(%s)", child.path);
    }
    ASSIGN_OR_RETURN(child.mount_point,
                     IsMountPoint(child.parent_fd, child.name), child.path);
    return Walk(child, depth);
  }

  absl::FunctionRef<absl::Status(const TreeEntry&)> visit_;
};

}  // namespace

absl::Status WalkTree(int root_fd,
                      absl::FunctionRef<absl::Status(const TreeEntry&)> visit) {
  TreeEntry root{"", root_fd, ".", {}, false};
  if (fstat(root_fd, &root.st) < 0) return ErrnoError("fstat");
  return Walker(visit).Walk(root, 0);
}

absl::StatusOr<UniqueFd> OpenEntry(const TreeEntry& entry) {
  // O_NONBLOCK: if it has become a FIFO we must not hang on it.
  UniqueFd fd(openat(entry.parent_fd, entry.name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", entry.path);
  struct stat st;
  if (fstat(fd.get(), &st) < 0) return ErrnoError("fstat(%s)", entry.path);
  if ((st.st_mode & S_IFMT) != (entry.st.st_mode & S_IFMT)) {
    return absl::AbortedError(
        absl::StrCat(entry.path, " was replaced while it was read"));
  }
  return fd;
}

}  // namespace davit
