#ifndef DAVIT_RUNTIME_USERNS_USER_NAMESPACE_H_
#define DAVIT_RUNTIME_USERNS_USER_NAMESPACE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/userns/userns.h"

// user_namespaces(7). A namespace lives as long as a descriptor, a bind mount
// of it, or a process in it. Thread-safe: the caller's own namespaces are never
// changed, the work is done by a child process that does nothing else.

namespace davit {

// A user namespace that maps its ids 0 to 65535 to base, base + 1, …. Needs
// CAP_SETUID and CAP_SETGID.
absl::StatusOr<UniqueFd> CreateUserNamespace(uint32_t base);

// A network namespace that the user namespace `userns` owns: its root may
// configure it, bind low ports in it and write to /proc/sys/net. "lo" is down.
absl::StatusOr<UniqueFd> CreateNetnsOwnedBy(int userns);

// A mount namespace that `userns` owns: a copy of the calling thread's, whose
// mounts the kernel has locked for it (mount_namespaces(7)).
absl::StatusOr<UniqueFd> CreateMountNsOwnedBy(int userns);

// Keeps the namespace `fd` by a bind mount on the file `path`, which is made.
absl::Status PinNamespace(int fd, const std::string& path);

// Undoes PinNamespace; OK if there is nothing.
absl::Status UnpinNamespace(const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_USER_NAMESPACE_H_
