#ifndef DAVIT_RUNTIME_BASE_ERRNO_ERROR_H_
#define DAVIT_RUNTIME_BASE_ERRNO_ERROR_H_

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace davit {

// The status of a failed system or library call: "call: strerror", with the
// canonical code of `error` (ENOENT → NotFound, EEXIST → AlreadyExists, …, as
// absl::ErrnoToStatus chooses). Say the call and its arguments:
//
//   if (fd < 0) return ErrnoError("open(%s, O_RDONLY)", path);
//
// Reads errno, so call it before anything else can change it.
template <typename... Args>
absl::Status ErrnoError(const absl::FormatSpec<Args...>& format,
                        const Args&... args) {
  int error = errno;
  return absl::ErrnoToStatus(error, absl::StrFormat(format, args...));
}

// The same for calls that return the error number instead of setting errno
// (posix_spawn, libseccomp, sd-bus); `error` may be negative or positive.
template <typename... Args>
absl::Status ErrorNumber(int error, const absl::FormatSpec<Args...>& format,
                         const Args&... args) {
  return absl::ErrnoToStatus(error < 0 ? -error : error,
                             absl::StrFormat(format, args...));
}

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_ERRNO_ERROR_H_
