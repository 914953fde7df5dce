#include "agent/unix_listener.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status RemoveStaleSocket(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) < 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError("lstat(%s)", path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " exists and is not a socket"));
  }
  return RemoveFile(path);
}

std::optional<gid_t> FindGroup(const std::string& name) {
  std::vector<char> buffer(16 << 10);
  group entry;
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return entry.gr_gid;
}

absl::Status Bind(int fd, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" is too long for a socket's path"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) {
    return ErrnoError("bind(%s)", path);
  }
  return absl::OkStatus();
}

// Nobody can connect before listen(2), so the modes that the socket has for a
// moment after bind(2) do no harm.
absl::Status BindAndListen(int fd, const std::string& path,
                           const std::string& group) {
  RETURN_IF_ERROR(Bind(fd, path));
  std::optional<gid_t> gid = FindGroup(group);
  if (gid && chown(path.c_str(), -1, *gid) < 0) {
    return ErrnoError("chown(%s, -1, %d)", path, *gid);
  }
  if (chmod(path.c_str(), 0660) < 0) {
    return ErrnoError("chmod(%s, 0660)", path);
  }
  if (listen(fd, SOMAXCONN) < 0) return ErrnoError("listen(%s)", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UnixListener> UnixListener::Listen(const std::string& path,
                                                  const std::string& group) {
  RETURN_IF_ERROR(MakeDirectories(path.substr(0, path.rfind('/'))));
  ASSIGN_OR_RETURN(FileLock lock,
                   FileLock::Acquire(path + ".lock", "socket " + path));
  RETURN_IF_ERROR(RemoveStaleSocket(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoError("socket(AF_UNIX, SOCK_STREAM)");
  // Owned from here on: an error removes the socket.
  UnixListener listener(path, std::move(lock), std::move(fd));
  RETURN_IF_ERROR(BindAndListen(listener.fd(), path, group));
  return listener;
}

UnixListener::~UnixListener() {
  if (fd_) unlink(path_.c_str());
}

}  // namespace davit
