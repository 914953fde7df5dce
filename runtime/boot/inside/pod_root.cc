#include "runtime/boot/inside/pod_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

std::string Trim(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string DirName(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string BaseName(const std::string& path) {
  std::string trimmed = Trim(path);
  return trimmed.substr(trimmed.rfind('/') + 1);
}

absl::StatusOr<PodRoot> PodRoot::Open(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_PATH|O_DIRECTORY)", path);
  return PodRoot(std::move(fd));
}

absl::StatusOr<UniqueFd> PodRoot::OpenAt(const std::string& path, int flags,
                                         mode_t mode) const {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long fd;
  do {  // EAGAIN: the tree was renamed under the look-up; openat2(2)
    fd = syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof(how));
  } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  if (fd < 0) return ErrnoError("openat2(%s, %#x)", path, flags);
  return UniqueFd(static_cast<int>(fd));
}

absl::StatusOr<UniqueFd> PodRoot::MakeDirectory(const std::string& path,
                                                mode_t mode) const {
  absl::StatusOr<UniqueFd> found = OpenAt(path, O_PATH | O_DIRECTORY);
  if (!absl::IsNotFound(found.status())) return found;
  std::string trimmed = Trim(path);
  ASSIGN_OR_RETURN(UniqueFd parent, MakeDirectory(DirName(trimmed), 0755));
  std::string name = BaseName(trimmed);
  if (mkdirat(parent.get(), name.c_str(), mode) < 0) {
    // EEXIST: a symlink that leads nowhere.
    return ErrnoError("mkdir(%s)", path);
  }
  UniqueFd made(openat(parent.get(), name.c_str(),
                       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made) return ErrnoError("open(%s, O_PATH)", path);
  return made;
}

absl::StatusOr<UniqueFd> PodRoot::MakeParent(const std::string& path) const {
  return MakeDirectory(DirName(Trim(path)), 0755);
}

absl::StatusOr<UniqueFd> PodRoot::MakeMountPoint(const std::string& path,
                                                 bool directory) const {
  if (directory) return MakeDirectory(path, 0755);
  absl::StatusOr<UniqueFd> found = OpenAt(path, O_PATH);
  if (!absl::IsNotFound(found.status())) return found;
  ASSIGN_OR_RETURN(UniqueFd parent, MakeParent(path));
  UniqueFd file(openat(parent.get(), BaseName(path).c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return ErrnoError("open(%s, O_CREAT|O_EXCL)", path);
  return OpenAt(path, O_PATH);
}

}  // namespace davit
