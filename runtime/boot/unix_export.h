#ifndef DAVIT_RUNTIME_BOOT_UNIX_EXPORT_H_
#define DAVIT_RUNTIME_BOOT_UNIX_EXPORT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

// /run/host/unix-export of a pod and its other end on the host: one small tmpfs
// where the pod binds sockets that the host connects to (RH8 of systemd's
// Container Interface). Writable for the pod, read-only for the host.

namespace davit {

// Mounts it on `directory`, which is made; still writable, for the pod to take
// a copy of the mount. `owner` is the host's id of the pod's root.
absl::Status MountUnixExport(const std::string& directory, uid_t owner);

// Makes this mount read-only; copies of it are not touched.
absl::Status CloseUnixExport(const std::string& directory);

// Unmounts it and removes the directory. OK if there is nothing.
absl::Status RemoveUnixExport(const std::string& directory);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_UNIX_EXPORT_H_
