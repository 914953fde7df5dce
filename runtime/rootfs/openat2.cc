#include "runtime/rootfs/openat2.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace davit {
namespace {

uint64_t ResolveFlags(Lookup lookup) {
  switch (lookup) {
    case Lookup::kNoSymlinks:
      return RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    case Lookup::kBeneath:
      return RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    case Lookup::kInRoot:
      return RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    case Lookup::kSameMount:
      return RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  }
  return RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
}

}  // namespace

UniqueFd OpenBelow(int directory_fd, const std::string& path, int flags,
                   Lookup lookup) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = ResolveFlags(lookup);
  // The kernel gives EAGAIN when it could not be sure that a ".." stayed
  // inside because something, anywhere, was renamed or mounted meanwhile.
  for (int attempt = 0;; ++attempt) {
    long fd =
        syscall(SYS_openat2, directory_fd, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR) continue;
    if (errno != EAGAIN || attempt == 100) return UniqueFd();
  }
}

}  // namespace davit
