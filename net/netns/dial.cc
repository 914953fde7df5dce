#include "net/netns/dial.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/netns/netns.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// TEST-NET-2 and the documentation prefix of RFC 3849: by the default route, if
// by any. Nothing is sent there.
constexpr char kFarAway4[] = "198.51.100.1";
constexpr char kFarAway6[] = "2001:db8::1";

absl::Status RunIn(const std::string& netns_path,
                   const std::function<absl::Status()>& work) {
  if (netns_path.empty()) return work();
  ASSIGN_OR_RETURN(Netns netns, Netns::Open(netns_path));
  return netns.Run(work);
}

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
};

SocketAddress MakeAddress(int family, const char* ip, uint16_t port) {
  SocketAddress address;
  if (family == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    inet_pton(AF_INET, ip, &v4->sin_addr);
    address.size = sizeof(*v4);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, ip, &v6->sin6_addr);
    address.size = sizeof(*v6);
  }
  return address;
}

std::string IpOf(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  }
  return text;
}

// --- Dial ---

absl::StatusOr<UniqueFd> SocketIn(const std::string& netns_path, int family) {
  UniqueFd fd;
  RETURN_IF_ERROR(RunIn(netns_path, [&]() -> absl::Status {
    fd =
        UniqueFd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return ErrnoError("socket(%d, SOCK_STREAM)", family);
    return absl::OkStatus();
  }));
  return fd;
}

// The error of a connect(2) that goes on by itself; 0 when it is done.
absl::StatusOr<int> AwaitConnected(int fd, absl::Time deadline) {
  while (true) {
    pollfd wait = {fd, POLLOUT, 0};
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return ETIMEDOUT;
    int n = poll(&wait, 1, static_cast<int>(left));
    if (n > 0) break;
    if (n < 0 && errno != EINTR) return ErrnoError("poll()");
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
    return ErrnoError("getsockopt(SO_ERROR)");
  }
  return error;
}

absl::StatusOr<UniqueFd> Dial(const std::string& netns_path, int family,
                              const char* ip, uint16_t port,
                              absl::Time deadline) {
  ASSIGN_OR_RETURN(UniqueFd fd, SocketIn(netns_path, family));
  SocketAddress address = MakeAddress(family, ip, port);
  int error = 0;
  if (connect(fd.get(), address.get(), address.size) < 0) error = errno;
  if (error == EINPROGRESS) {
    ASSIGN_OR_RETURN(error, AwaitConnected(fd.get(), deadline));
  }
  if (error == 0) return fd;
  std::string message =
      absl::StrCat("connect(", ip, ":", port, "): ", strerror(error));
  if (error == ETIMEDOUT) return absl::DeadlineExceededError(message);
  return absl::UnavailableError(message);
}

// --- Node address ---

std::string SourceTo(int family, const char* ip) {
  UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address = MakeAddress(family, ip, 9);
  if (!fd || connect(fd.get(), address.get(), address.size) < 0) return "";
  address.size = sizeof(address.storage);
  auto* source = reinterpret_cast<sockaddr*>(&address.storage);
  if (getsockname(fd.get(), source, &address.size) < 0) return "";
  return IpOf(source);
}

bool IsGlobal(const ifaddrs& entry, int family) {
  if (entry.ifa_addr == nullptr || entry.ifa_addr->sa_family != family) {
    return false;
  }
  if ((entry.ifa_flags & IFF_LOOPBACK) != 0) return false;
  if (family == AF_INET) return true;
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr);
  return !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

// getifaddrs(3) goes by the interfaces' numbers: those of the node are older
// than those of its pods.
std::string FirstGlobal(const ifaddrs* all, int family) {
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (IsGlobal(*at, family)) return IpOf(at->ifa_addr);
  }
  return "";
}

absl::StatusOr<std::string> FindNodeAddress() {
  for (std::string source :
       {SourceTo(AF_INET, kFarAway4), SourceTo(AF_INET6, kFarAway6)}) {
    if (!source.empty()) return source;
  }
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) < 0) return ErrnoError("getifaddrs()");
  std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  for (int family : {AF_INET, AF_INET6}) {
    std::string address = FirstGlobal(list, family);
    if (!address.empty()) return address;
  }
  return absl::NotFoundError("the node has no address of global scope");
}

}  // namespace

absl::StatusOr<UniqueFd> DialLoopback(const std::string& netns_path,
                                      uint16_t port, absl::Duration timeout) {
  absl::Time deadline = absl::Now() + timeout;
  absl::StatusOr<UniqueFd> v4 =
      Dial(netns_path, AF_INET, "127.0.0.1", port, deadline);
  if (v4.ok() || !absl::IsUnavailable(v4.status())) return v4;
  absl::StatusOr<UniqueFd> v6 =
      Dial(netns_path, AF_INET6, "::1", port, deadline);
  // What a kernel without IPv6 says would only confuse.
  return v6.ok() ? std::move(v6) : std::move(v4);
}

absl::StatusOr<std::string> NodeAddress(const std::string& netns_path) {
  std::string address;
  RETURN_IF_ERROR(RunIn(netns_path, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(address, FindNodeAddress());
    return absl::OkStatus();
  }));
  return address;
}

}  // namespace davit
