#ifndef DAVIT_RUNTIME_ROOTFS_RESOLVE_H_
#define DAVIT_RUNTIME_ROOTFS_RESOLVE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

// What the words of an image's configuration mean in its root file system.
// Links nothing but Abseil, so static launchers can use it. Thread-safe; reads
// only, and never outside of `root`, whatever symlinks a stranger put there.

namespace davit {

// A path inside a root file system, looked up as a process with that root
// would (openat2 RESOLVE_IN_ROOT): what a command like "nginx" or "./run" means
// in an image. Returns the absolute path as seen inside. NotFound says "command
// \"x\" not found in $PATH" or "…/x: no such file"; PermissionDenied if it is
// not executable, FailedPrecondition for a loop of symlinks. An empty
// `path_variable` means Docker's default; relative commands and $PATH elements
// start at `working_dir`. The result is not resolved further: argv[0] tricks
// like busybox's keep working.
absl::StatusOr<std::string> ResolveCommand(const std::string& root,
                                           const std::string& command,
                                           const std::string& path_variable,
                                           const std::string& working_dir);

struct ResolvedUser {
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<unsigned> supplementary_gids;
  std::string home = "/";
};

// Resolves an OCI user string ("", "name", "uid", "name:group", "uid:gid") by
// the image's own /etc/passwd and /etc/group (passwd(5), group(5)). NotFound
// names the user or group; a number needs no entry. As in Docker, an explicit
// group leaves no supplementary ones.
absl::StatusOr<ResolvedUser> ResolveUser(const std::string& root,
                                         const std::string& user);

}  // namespace davit

#endif  // DAVIT_RUNTIME_ROOTFS_RESOLVE_H_
