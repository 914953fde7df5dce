#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/openat2.h"
#include "runtime/rootfs/resolve.h"

namespace davit {
namespace {

// What Docker and runc use when an image sets no PATH.
constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string Join(absl::string_view directory, absl::string_view name) {
  if (!name.empty() && name[0] == '/') return std::string(name);
  if (directory.empty()) directory = "/";
  return absl::StrCat(directory, directory.back() == '/' ? "" : "/", name);
}

// OK if `path` names an executable regular file for a process whose root is
// `root_fd`.
absl::Status CheckExecutable(int root_fd, const std::string& path) {
  UniqueFd fd = OpenBelow(root_fd, path, O_PATH, Lookup::kInRoot);
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat(path, ": no such file"));
    }
    if (errno == ELOOP) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": too many levels of symbolic links"));
    }
    return ErrnoError("openat2(%s)", path);
  }
  struct stat st;
  if (fstat(fd.get(), &st) < 0) return ErrnoError("fstat(%s)", path);
  if (!S_ISREG(st.st_mode)) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, S_ISDIR(st.st_mode) ? " is a directory"
                                               : " is not a regular file"));
  }
  if ((st.st_mode & 0111) == 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, " is not executable"));
  }
  return absl::OkStatus();
}

// As execvp(3): the first that can be executed; a file that cannot be is
// reported only if no other is found.
absl::StatusOr<std::string> SearchPath(int root_fd, const std::string& command,
                                       absl::string_view path_variable,
                                       absl::string_view working_dir) {
  absl::Status denied;
  for (absl::string_view element : absl::StrSplit(path_variable, ':')) {
    std::string candidate = Join(Join(working_dir, element), command);
    absl::Status status = CheckExecutable(root_fd, candidate);
    if (status.ok()) return candidate;
    if (!absl::IsNotFound(status) && denied.ok()) denied = status;
  }
  if (!denied.ok()) return denied;
  return absl::NotFoundError(
      absl::StrCat("command \"", command, "\" not found in $PATH"));
}

}  // namespace

absl::StatusOr<std::string> ResolveCommand(const std::string& root,
                                           const std::string& command,
                                           const std::string& path_variable,
                                           const std::string& working_dir) {
  if (command.empty()) return absl::InvalidArgumentError("command is empty");
  if (command.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("command holds a NUL byte");
  }
  UniqueFd root_fd(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd) return ErrnoError("open(%s, O_DIRECTORY)", root);
  std::string directory = Join("/", working_dir);
  if (command.find('/') == std::string::npos) {
    return SearchPath(root_fd.get(), command,
                      path_variable.empty() ? kDefaultPath : path_variable,
                      directory);
  }
  std::string path = Join(directory, command);
  RETURN_IF_ERROR(CheckExecutable(root_fd.get(), path));
  return path;
}

}  // namespace davit
