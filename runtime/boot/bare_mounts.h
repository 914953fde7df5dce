#ifndef DAVIT_RUNTIME_BOOT_BARE_MOUNTS_H_
#define DAVIT_RUNTIME_BOOT_BARE_MOUNTS_H_

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Where the one directory of a bare mount namespace is.
inline constexpr char kBareMountPoint[] = "/pod";

// A mount namespace without anything but an empty directory, for pods to start
// from (setns(2), then unshare(2)). One that starts from the node's own copies
// and drops all mounts that the node has, and with each pod it has more of
// them. Lives as long as the descriptor. Leaves the caller's thread where it
// is.
absl::StatusOr<UniqueFd> NewBareMounts();

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_BARE_MOUNTS_H_
