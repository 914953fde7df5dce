#ifndef DAVIT_RUNTIME_BASE_FILE_H_
#define DAVIT_RUNTIME_BASE_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// Reads a whole file, also one of /proc or /sys that says size 0.
// NotFound if it is absent; OutOfRange if it is longer than `limit` bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     size_t limit = 64 << 20);

// Replaces `path` by `data` so that a crash at any moment leaves the old or the
// new content, never a mix: temporary file beside it, fsync, rename, fsync of
// the directory (rename(2), fsync(2)). The name of the temporary starts with
// ".tmp-". Creates no directories.
absl::Status WriteFileAtomic(const std::string& path, absl::string_view data,
                             mode_t mode = 0644);

// Writes to an existing kernel file (cgroup attribute, sysctl) in one write(2).
absl::Status WriteKernelFile(const std::string& path, absl::string_view data);

// Writes all of `data` to `fd`, through EINTR and short writes.
absl::Status WriteAll(int fd, absl::string_view data);

// Reads `fd` to its end. OutOfRange past `limit` bytes.
absl::StatusOr<std::string> ReadAll(int fd, size_t limit = 64 << 20);

// mkdir -p. Existing directories keep their mode.
absl::Status MakeDirectories(const std::string& path, mode_t mode = 0755);

// rm -rf that never follows a symlink and never crosses into another mount
// (a mount point below is an error, FailedPrecondition). OK if absent.
absl::Status RemoveTree(const std::string& path);

// The target of a symlink, as it is written. NotFound if `path` is absent,
// InvalidArgument if it is no symlink.
absl::StatusOr<std::string> ReadLink(const std::string& path);

// unlink(2) that is content with an absent file.
absl::Status RemoveFile(const std::string& path);

bool PathExists(const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_FILE_H_
