#include "net/plugins/parity/tcp_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "absl/status/statusor.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {
namespace {

constexpr int kTimeoutSeconds = 3;

// All sockets are of IPv6; IPv4 is mapped.
sockaddr_in6 SocketAddress(const IpAddress& ip, uint16_t port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (ip.is_v6()) {
    memcpy(&address.sin6_addr, ip.data(), ip.size());
  } else {
    address.sin6_addr.s6_addr[10] = address.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&address.sin6_addr.s6_addr[12], ip.data(), ip.size());
  }
  return address;
}

// `use` is bind or connect.
absl::StatusOr<UniqueFd> MakeSocket(const TestNetns& netns,
                                    const sockaddr_in6& address,
                                    int (*use)(int, const sockaddr*, socklen_t),
                                    const char* what) {
  UniqueFd fd;
  RETURN_IF_ERROR(netns.Run([&]() -> absl::Status {
    fd.Reset(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int off = 0, on = 1;
    timeval timeout = {kTimeoutSeconds, 0};
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (use(fd.get(), reinterpret_cast<const sockaddr*>(&address),
            sizeof(address)) < 0) {
      return ErrnoError("%s", what);
    }
    return absl::OkStatus();
  }));
  return fd;
}

absl::StatusOr<std::string> Connect(const TcpProbe& probe) {
  const IpAddress any = *IpAddress::Parse("::");
  ASSIGN_OR_RETURN(
      UniqueFd listener,
      MakeSocket(*probe.server, SocketAddress(any, probe.server_port), bind,
                 "bind"));
  if (listen(listener.get(), 1) < 0) return ErrnoError("listen");
  ASSIGN_OR_RETURN(
      UniqueFd client,
      MakeSocket(*probe.client, SocketAddress(probe.to, probe.port), connect,
                 "connect"));
  pollfd waiting = {listener.get(), POLLIN, 0};
  if (poll(&waiting, 1, kTimeoutSeconds * 1000) != 1) {
    return absl::DeadlineExceededError("accept");
  }
  sockaddr_in6 peer = {};
  socklen_t size = sizeof(peer);
  UniqueFd accepted(accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer),
                            &size, SOCK_CLOEXEC));
  if (!accepted) return ErrnoError("accept4");
  ASSIGN_OR_RETURN(IpAddress ip, IpAddress::FromBytes(&peer.sin6_addr, 16));
  return ip.ToString();
}

}  // namespace

std::string ProbeTcp(const TcpProbe& probe) {
  absl::StatusOr<std::string> seen = Connect(probe);
  return seen.ok() ? *seen : std::string(seen.status().message());
}

}  // namespace davit::testing
