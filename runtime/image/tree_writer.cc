#include "runtime/image/tree_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

constexpr char kOpaque[] = "trusted.overlay.opaque";
constexpr char kCapability[] = "security.capability";

std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? "" : path.substr(0, slash);
}

std::string BaseOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

absl::Status NotADirectory(absl::string_view path) {
  return absl::InvalidArgumentError(absl::StrCat(
      "its parent \"", path, "\" is a symbolic link or no directory"));
}

absl::Status SetOpaque(int directory_fd) {
  if (fsetxattr(directory_fd, kOpaque, "y", 1, 0) < 0) {
    return ErrnoError("fsetxattr(%s)", kOpaque);
  }
  return absl::OkStatus();
}

absl::Status SetXattrs(int fd, const FileMetadata& metadata) {
  for (const auto& [name, value] : metadata.xattrs) {
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) {
      continue;
    }
    // A file system without user.* or ACLs can still hold a working image;
    // one without file capabilities cannot.
    if (errno == EOPNOTSUPP && name != kCapability) continue;
    return ErrnoError("fsetxattr(%s, %d bytes)", name, value.size());
  }
  return absl::OkStatus();
}

absl::Status SetTimes(int fd, const timespec& mtime) {
  timespec times[2] = {mtime, mtime};
  if (futimens(fd, times) < 0) return ErrnoError("futimens");
  return absl::OkStatus();
}

// Owner first: chown(2) clears set-id bits and file capabilities.
absl::Status SetOwnerModeXattrs(int fd, const FileMetadata& metadata) {
  if (fchown(fd, metadata.uid, metadata.gid) < 0) {
    return ErrnoError("fchown(%d, %d)", metadata.uid, metadata.gid);
  }
  if (fchmod(fd, metadata.permissions) < 0) {
    return ErrnoError("fchmod(%#o)", metadata.permissions);
  }
  return SetXattrs(fd, metadata);
}

// For what cannot be opened without effect: symlinks, devices, FIFOs.
absl::Status SetMetadataAt(int parent, const std::string& name, bool symlink,
                           const FileMetadata& metadata) {
  if (fchownat(parent, name.c_str(), metadata.uid, metadata.gid,
               AT_SYMLINK_NOFOLLOW) < 0) {
    return ErrnoError("fchownat(%d, %d)", metadata.uid, metadata.gid);
  }
  if (!symlink && fchmodat(parent, name.c_str(), metadata.permissions, 0) < 0) {
    return ErrnoError("fchmodat(%#o)", metadata.permissions);
  }
  timespec times[2] = {metadata.mtime, metadata.mtime};
  if (utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0) {
    return ErrnoError("utimensat");
  }
  return absl::OkStatus();
}

}  // namespace

bool KeepXattr(absl::string_view name) {
  if (absl::StartsWith(name, "user.overlay.")) return false;
  return name == kCapability || absl::StartsWith(name, "user.") ||
         name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

absl::StatusOr<std::map<std::string, std::string>> ReadXattrs(int fd) {
  std::map<std::string, std::string> result;
  if (flistxattr(fd, nullptr, 0) == 0) return result;  // most files
  // 64 KiB is the kernel's limit for the list and for a value (xattr(7)).
  std::string names(64 << 10, '\0');
  ssize_t size = flistxattr(fd, names.data(), names.size());
  if (size < 0) {
    if (errno == EOPNOTSUPP) return result;
    return ErrnoError("flistxattr");
  }
  names.resize(static_cast<size_t>(size));
  for (absl::string_view name :
       absl::StrSplit(names, '\0', absl::SkipEmpty())) {
    if (!KeepXattr(name)) continue;
    std::string value(64 << 10, '\0');
    ssize_t length =
        fgetxattr(fd, std::string(name).c_str(), value.data(), value.size());
    if (length < 0) return ErrnoError("fgetxattr(%s)", name);
    value.resize(static_cast<size_t>(length));
    result.emplace(name, std::move(value));
  }
  return result;
}

bool IsWhiteout(const struct stat& st) {
  return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

bool IsOpaque(int directory_fd) {
  char value = 0;
  return fgetxattr(directory_fd, kOpaque, &value, 1) == 1 && value == 'y';
}

TreeWriter::TreeWriter(UniqueFd root) : root_(std::move(root)) {
  implicit_.insert("");
}

absl::Status TreeWriter::AddDirectory(const std::string& path,
                                      const FileMetadata& metadata) {
  if (!path.empty()) {
    ASSIGN_OR_RETURN(int parent, OpenParent(path));
    RETURN_IF_ERROR(MakeOrKeepDirectory(path, parent));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(path));
  RETURN_IF_ERROR(SetOwnerModeXattrs(fd.get(), metadata));
  implicit_.erase(path);
  directory_times_[path] = metadata.mtime;
  return absl::OkStatus();
}

absl::Status TreeWriter::AddFile(
    const std::string& path, const FileMetadata& metadata,
    absl::FunctionRef<absl::Status(int fd)> write) {
  ASSIGN_OR_RETURN(int parent, OpenParent(path));
  std::string name = BaseOf(path);
  UniqueFd fd;
  auto create = [&] {
    fd.Reset(openat(parent, name.c_str(),
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600));
    return fd.valid() ? 0 : -1;
  };
  RETURN_IF_ERROR(CreateReplacing(path, parent, create, "openat"));
  RETURN_IF_ERROR(write(fd.get()));
  RETURN_IF_ERROR(SetOwnerModeXattrs(fd.get(), metadata));
  return SetTimes(fd.get(), metadata.mtime);
}

absl::Status TreeWriter::AddSymlink(const std::string& path,
                                    const std::string& target,
                                    const FileMetadata& metadata) {
  ASSIGN_OR_RETURN(int parent, OpenParent(path));
  std::string name = BaseOf(path);
  auto create = [&] { return symlinkat(target.c_str(), parent, name.c_str()); };
  RETURN_IF_ERROR(CreateReplacing(path, parent, create, "symlinkat"));
  return SetMetadataAt(parent, name, /*symlink=*/true, metadata);
}

absl::Status TreeWriter::AddHardLink(const std::string& path,
                                     const std::string& target) {
  absl::Status absent = absl::InvalidArgumentError(absl::StrCat(
      "hard link to \"", target, "\", which is no earlier file of this layer"));
  UniqueFd from =
      OpenBelow(root_.get(), ParentOf(target).empty() ? "." : ParentOf(target),
                O_PATH | O_DIRECTORY, Lookup::kNoSymlinks);
  if (!from || target.empty()) return absent;
  std::string from_name = BaseOf(target);
  struct stat st;
  if (fstatat(from.get(), from_name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      S_ISDIR(st.st_mode) || IsWhiteout(st)) {
    return absent;
  }
  if (path == target) return absl::OkStatus();
  ASSIGN_OR_RETURN(int parent, OpenParent(path));
  std::string name = BaseOf(path);
  auto create = [&] {
    return linkat(from.get(), from_name.c_str(), parent, name.c_str(), 0);
  };
  return CreateReplacing(path, parent, create, "linkat");
}

absl::Status TreeWriter::AddNode(const std::string& path, mode_t type,
                                 dev_t device, const FileMetadata& metadata) {
  ASSIGN_OR_RETURN(int parent, OpenParent(path));
  std::string name = BaseOf(path);
  auto create = [&] { return mknodat(parent, name.c_str(), type, device); };
  RETURN_IF_ERROR(CreateReplacing(path, parent, create, "mknodat"));
  return SetMetadataAt(parent, name, /*symlink=*/false, metadata);
}

absl::Status TreeWriter::AddWhiteout(const std::string& path) {
  ASSIGN_OR_RETURN(int parent, OpenParent(path));
  std::string name = BaseOf(path);
  if (mknodat(parent, name.c_str(), S_IFCHR, makedev(0, 0)) == 0) {
    return absl::OkStatus();
  }
  if (errno != EEXIST) return ErrnoError("mknodat(%s, c 0:0)", name);
  struct stat st;
  if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) {
    return ErrnoError("fstatat(%s)", name);
  }
  return S_ISDIR(st.st_mode) ? AddOpaque(path) : absl::OkStatus();
}

absl::Status TreeWriter::AddOpaque(const std::string& path) {
  if (!path.empty()) {
    RETURN_IF_ERROR(OpenParent(absl::StrCat(path, "/x")));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(path));
  return SetOpaque(fd.get());
}

absl::Status TreeWriter::Finish() {
  for (const auto& [path, mtime] : directory_times_) {
    ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(path), path);
    RETURN_IF_ERROR(SetTimes(fd.get(), mtime), path);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> TreeWriter::OpenParent(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError("the root can only be a directory");
  }
  std::string directory = ParentOf(path);
  if (parent_ && parent_path_ == directory) return parent_.get();
  std::string name = directory.empty() ? "." : directory;
  auto open_it = [&] {
    return OpenBelow(root_.get(), name, O_PATH | O_DIRECTORY,
                     Lookup::kNoSymlinks);
  };
  UniqueFd fd = open_it();
  // ENOTDIR may be a whiteout, which a new directory replaces.
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) {
    RETURN_IF_ERROR(MakeParents(directory));
    fd = open_it();
  }
  if (!fd) {
    if (errno == ELOOP || errno == ENOTDIR) return NotADirectory(directory);
    return ErrnoError("openat2(%s)", name);
  }
  parent_ = std::move(fd);
  parent_path_ = directory;
  return parent_.get();
}

absl::Status TreeWriter::MakeParents(const std::string& directory) {
  UniqueFd current(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
  if (!current) return ErrnoError("fcntl(F_DUPFD_CLOEXEC)");
  std::string path;
  for (absl::string_view part : absl::StrSplit(directory, '/')) {
    absl::StrAppend(&path, path.empty() ? "" : "/", part);
    std::string name(part);
    struct stat st;
    bool exists =
        fstatat(current.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && !S_ISDIR(st.st_mode) && !IsWhiteout(st)) {
      return NotADirectory(path);
    }
    if (!exists || IsWhiteout(st)) {
      RETURN_IF_ERROR(MakeOrKeepDirectory(path, current.get()));
      if (fchmodat(current.get(), name.c_str(), 0755, 0) < 0) {
        return ErrnoError("fchmodat(%s)", name);
      }
      implicit_.insert(path);
    }
    current.Reset(openat(current.get(), name.c_str(),
                         O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!current) return ErrnoError("openat(%s, O_DIRECTORY)", name);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> TreeWriter::OpenDirectory(const std::string& path) {
  UniqueFd fd = OpenBelow(root_.get(), path.empty() ? "." : path,
                          O_RDONLY | O_DIRECTORY, Lookup::kNoSymlinks);
  if (!fd) return ErrnoError("openat2(%s, O_DIRECTORY)", path);
  return fd;
}

absl::Status TreeWriter::CreateReplacing(const std::string& path, int parent,
                                         absl::FunctionRef<int()> create,
                                         absl::string_view call) {
  if (create() == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    RETURN_IF_ERROR(Clear(path, parent));
    if (create() == 0) return absl::OkStatus();
  }
  return ErrnoError("%s(%s)", call, BaseOf(path));
}

absl::Status TreeWriter::Clear(const std::string& path, int parent) {
  std::string name = BaseOf(path);
  if (unlinkat(parent, name.c_str(), 0) == 0) return absl::OkStatus();
  if (errno != EISDIR) return ErrnoError("unlinkat(%s)", name);
  RETURN_IF_ERROR(
      RemoveTree(absl::StrCat("/proc/self/fd/", parent, "/", name)));
  Forget(path);
  return absl::OkStatus();
}

absl::Status TreeWriter::MakeOrKeepDirectory(const std::string& path,
                                             int parent) {
  std::string name = BaseOf(path);
  if (mkdirat(parent, name.c_str(), 0755) == 0) return absl::OkStatus();
  if (errno != EEXIST) return ErrnoError("mkdirat(%s)", name);
  struct stat st;
  if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) {
    return ErrnoError("fstatat(%s)", name);
  }
  if (S_ISDIR(st.st_mode)) return absl::OkStatus();
  RETURN_IF_ERROR(Clear(path, parent));
  if (mkdirat(parent, name.c_str(), 0755) < 0) {
    return ErrnoError("mkdirat(%s)", name);
  }
  UniqueFd fd(openat(parent, name.c_str(),
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoError("openat(%s, O_DIRECTORY)", name);
  return SetOpaque(fd.get());
}

void TreeWriter::Forget(const std::string& path) {
  auto forget_in = [&](auto* container) {
    container->erase(path);
    // '0' follows '/': everything that begins with "path/".
    container->erase(container->lower_bound(absl::StrCat(path, "/")),
                     container->lower_bound(absl::StrCat(path, "0")));
  };
  forget_in(&implicit_);
  forget_in(&directory_times_);
  // The remembered parent may be one of those that are gone. The caller holds
  // its own parent by number, which is above them and stays open.
  if (parent_path_ == path ||
      absl::StartsWith(parent_path_, absl::StrCat(path, "/"))) {
    parent_.Reset();
  }
}

}  // namespace davit
