#include "runtime/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path);
  if (fsync(fd.get()) < 0) return ErrnoError("fsync(%s)", path);
  return absl::OkStatus();
}

absl::Status WriteAndRename(int fd, const std::string& temporary,
                            const std::string& path, absl::string_view data,
                            mode_t mode) {
  RETURN_IF_ERROR(WriteAll(fd, data), temporary);
  if (fchmod(fd, mode) < 0) return ErrnoError("fchmod(%s)", temporary);
  if (fsync(fd) < 0) return ErrnoError("fsync(%s)", temporary);
  if (rename(temporary.c_str(), path.c_str()) < 0) {
    return ErrnoError("rename(%s, %s)", temporary, path);
  }
  return absl::OkStatus();
}

// Empties the directory `fd`; `name` is for messages, `device` guards mounts.
absl::Status RemoveContents(UniqueFd fd, const std::string& name,
                            dev_t device) {
  int raw = fd.get();
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(raw));
  if (dir == nullptr) return ErrnoError("fdopendir(%s)", name);
  fd.Release();
  while (dirent* entry = readdir(dir.get())) {
    absl::string_view base = entry->d_name;
    if (base == "." || base == "..") continue;
    std::string child = absl::StrCat(name, "/", base);
    if (unlinkat(raw, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) {
      return ErrnoError("unlink(%s)", child);
    }
    UniqueFd sub(openat(raw, entry->d_name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!sub) return ErrnoError("open(%s, O_DIRECTORY)", child);
    struct stat st;
    if (fstat(sub.get(), &st) < 0) return ErrnoError("fstat(%s)", child);
    if (st.st_dev != device) {
      return absl::FailedPreconditionError(
          absl::StrCat(child, " is a mount point"));
    }
    RETURN_IF_ERROR(RemoveContents(std::move(sub), child, device));
    if (unlinkat(raw, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
      return ErrnoError("rmdir(%s)", child);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", path);
  ASSIGN_OR_RETURN(std::string data, ReadAll(fd.get(), limit), path);
  return data;
}

absl::Status WriteFileAtomic(const std::string& path, absl::string_view data,
                             mode_t mode) {
  std::string directory = DirectoryOf(path);
  std::string temporary = absl::StrCat(directory, "/.tmp-XXXXXX");
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return ErrnoError("mkostemp(%s)", temporary);
  absl::Status status = WriteAndRename(fd.get(), temporary, path, data, mode);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(directory);
}

absl::Status WriteKernelFile(const std::string& path, absl::string_view data) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_WRONLY)", path);
  if (write(fd.get(), data.data(), data.size()) < 0) {
    return ErrnoError("write(%s, \"%s\")", path, data);
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    ssize_t n = write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoError("write(%d bytes)", data.size());
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(int fd, size_t limit) {
  std::string data;
  char buffer[16384];
  while (true) {
    ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoError("read");
    }
    if (n == 0) return data;
    data.append(buffer, static_cast<size_t>(n));
    if (data.size() > limit) {
      return absl::OutOfRangeError(
          absl::StrCat("longer than ", limit, " bytes"));
    }
  }
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  for (size_t end = 1; end != std::string::npos && end <= path.size();) {
    end = path.find('/', end);
    std::string prefix = path.substr(0, end);
    if (mkdir(prefix.c_str(), mode) < 0 && errno != EEXIST) {
      return ErrnoError("mkdir(%s)", prefix);
    }
    if (end != std::string::npos) ++end;
  }
  struct stat st;
  if (stat(path.c_str(), &st) < 0) return ErrnoError("stat(%s)", path);
  if (!S_ISDIR(st.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a directory"));
  }
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoError("unlink(%s)", path);
  UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path);
  struct stat st;
  if (fstat(fd.get(), &st) < 0) return ErrnoError("fstat(%s)", path);
  RETURN_IF_ERROR(RemoveContents(std::move(fd), path, st.st_dev));
  if (rmdir(path.c_str()) < 0 && errno != ENOENT) {
    return ErrnoError("rmdir(%s)", path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadLink(const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = readlink(path.c_str(), target, sizeof(target));
  if (n < 0) return ErrnoError("readlink(%s)", path);
  return std::string(target, static_cast<size_t>(n));
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s)", path);
  }
  return absl::OkStatus();
}

bool PathExists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

}  // namespace davit
