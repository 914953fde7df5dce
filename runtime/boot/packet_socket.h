#ifndef DAVIT_RUNTIME_BOOT_PACKET_SOCKET_H_
#define DAVIT_RUNTIME_BOOT_PACKET_SOCKET_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"

// Non-blocking SOCK_SEQPACKET sockets of AF_UNIX: a message a packet, the end
// is seen at once. Paths may be longer than sun_path.

namespace davit {

// A listening socket at `path`, mode 0600, in place of what a dead process may
// have left there.
absl::StatusOr<UniqueFd> ListenForPackets(const std::string& path);
// NotFound if there is no socket; Unavailable if nobody listens on it.
absl::StatusOr<UniqueFd> ConnectForPackets(const std::string& path);
// Waits until something can be received, or the other side has closed.
absl::Status AwaitPacket(int fd);
// {ours, theirs}.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePacketPair();

// The daemon's first packet to a shim that it has started: the launch plan is
// complete. Until then a shim does nothing, so that it can be moved.
inline constexpr absl::string_view kPlanIsReady = "go";

// Unavailable if the queue is full or the other side has closed.
absl::Status SendPacket(int fd, absl::string_view packet);
// The same with a descriptor, of which the receiver gets a copy.
absl::Status SendPacketWithFd(int fd, absl::string_view packet, int passed);
// Unavailable if nothing is waiting, OutOfRange at the end. Longer packets than
// 64 KiB are cut. A descriptor that came along is put into `passed`; without it
// none is taken.
absl::StatusOr<std::string> ReceivePacket(int fd, UniqueFd* passed = nullptr);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_PACKET_SOCKET_H_
