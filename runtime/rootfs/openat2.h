#ifndef DAVIT_RUNTIME_ROOTFS_OPENAT2_H_
#define DAVIT_RUNTIME_ROOTFS_OPENAT2_H_

#include <cstdint>
#include <string>

#include "runtime/base/unique_fd.h"

namespace davit {

// How far a look-up below a directory may go (openat2(2), `resolve`).
enum class Lookup : uint64_t {
  // No symlink anywhere, no "..": for trees that strangers wrote.
  kNoSymlinks,
  // Symlinks are followed as long as they stay below the directory.
  kBeneath,
  // The directory is "/": absolute links and ".." are meant inside of it, as
  // for a process that was chrooted there.
  kInRoot,
  // As kNoSymlinks, and a mount point below gives EXDEV.
  kSameMount,
};

// openat2(2) with O_CLOEXEC. Invalid with errno set on failure: ELOOP for a
// forbidden symlink, EXDEV for an escape. glibc 2.36 has no wrapper.
UniqueFd OpenBelow(int directory_fd, const std::string& path, int flags,
                   Lookup lookup);

}  // namespace davit

#endif  // DAVIT_RUNTIME_ROOTFS_OPENAT2_H_
