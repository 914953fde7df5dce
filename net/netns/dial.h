#ifndef DAVIT_NET_NETNS_DIAL_H_
#define DAVIT_NET_NETNS_DIAL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"

// What the agent itself does with sockets in other network namespaces. A socket
// belongs to the namespace that it was made in (network_namespaces(7)): it is
// made on a thread of its own, the caller's namespace never changes.
// Thread-safe.

namespace davit {

// Connects by TCP to 127.0.0.1, else to ::1, in the network namespace pinned at
// `netns_path` (empty: the caller's). The socket is non-blocking and
// close-on-exec. Unavailable if nothing listens on either; DeadlineExceeded
// after `timeout`; NotFound if there is no such pin.
absl::StatusOr<UniqueFd> DialLoopback(const std::string& netns_path,
                                      uint16_t port, absl::Duration timeout);

// The address that others know the node by, which `netns_path` (empty: the
// caller's) stands for: the source of what goes by the default route, else the
// first address of global scope; IPv4 before IPv6. NotFound if it has none.
// Sends nothing.
absl::StatusOr<std::string> NodeAddress(const std::string& netns_path);

}  // namespace davit

#endif  // DAVIT_NET_NETNS_DIAL_H_
