#include "net/plugins/traffic.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "net/netlink/ip_address.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {
namespace {

constexpr int kTimeoutMs = 1000;

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  abort();
}

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress MakeAddress(const IpAddress& ip, uint16_t port) {
  SocketAddress address;
  if (ip.is_v6()) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, ip.data(), ip.size());
    address.size = sizeof(*v6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    memcpy(&v4->sin_addr, ip.data(), ip.size());
    address.size = sizeof(*v4);
  }
  return address;
}

std::string TextOf(const SocketAddress& address) {
  const void* bytes =
      address.storage.ss_family == AF_INET6
          ? static_cast<const void*>(
                &reinterpret_cast<const sockaddr_in6*>(&address.storage)
                     ->sin6_addr)
          : &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr;
  return IpAddress::FromBytes(bytes,
                              address.size == sizeof(sockaddr_in6) ? 16 : 4)
      ->ToString();
}

UniqueFd OpenSocket(Transport transport, int family, const SocketAddress* to) {
  UniqueFd fd(socket(
      family,
      (transport == Transport::kTcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
      0));
  Require(fd.valid(), "socket");
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
  }
  if (to != nullptr) {
    SocketAddress address = *to;
    Require(bind(fd.get(), address.get(), address.size) == 0, "bind");
  }
  return fd;
}

}  // namespace

NamingServer::NamingServer(const TestNetns& netns, Transport transport, bool v6,
                           uint16_t port, std::string name) {
  netns
      .Run([&] {
        SocketAddress any =
            MakeAddress(*IpAddress::Parse(v6 ? "::" : "0.0.0.0"), port);
        socket_ = OpenSocket(transport, v6 ? AF_INET6 : AF_INET, &any);
        if (transport == Transport::kTcp) {
          Require(listen(socket_.get(), 16) == 0, "listen");
        }
        return absl::OkStatus();
      })
      .IgnoreError();
  stop_.Reset(eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this, transport, name] { Serve(transport, name); });
}

NamingServer::~NamingServer() {
  uint64_t one = 1;
  Require(write(stop_.get(), &one, sizeof(one)) == sizeof(one), "eventfd");
  thread_.join();
}

void NamingServer::Serve(Transport transport, const std::string& name) {
  for (;;) {
    pollfd events[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    poll(events, 2, -1);
    if (events[1].revents != 0) return;
    SocketAddress peer;
    if (transport == Transport::kTcp) {
      UniqueFd client(
          accept4(socket_.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
      if (!client.valid()) continue;
      std::string answer = name + " " + TextOf(peer);
      send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      continue;
    }
    char buffer[64];
    if (recvfrom(socket_.get(), buffer, sizeof(buffer), 0, peer.get(),
                 &peer.size) < 0) {
      continue;
    }
    std::string answer = name + " " + TextOf(peer);
    sendto(socket_.get(), answer.data(), answer.size(), MSG_NOSIGNAL,
           peer.get(), peer.size);
  }
}

absl::StatusOr<std::string> Client::AskHere(absl::string_view text,
                                            uint16_t port) const {
  ASSIGN_OR_RETURN(IpAddress ip, IpAddress::Parse(text));
  SocketAddress from = MakeAddress(ip.FirstOf(0), from_port_);
  UniqueFd fd =
      OpenSocket(transport_, ip.family(), from_port_ == 0 ? nullptr : &from);
  timeval timeout = {kTimeoutMs / 1000, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  SocketAddress to = MakeAddress(ip, port);
  if (connect(fd.get(), to.get(), to.size) < 0) {
    // A connect that runs into SO_SNDTIMEO says EINPROGRESS.
    if (errno == EINPROGRESS) return absl::DeadlineExceededError("connect");
    return ErrnoError("connect(%s:%d)", ip.ToString(), port);
  }
  if (transport_ == Transport::kUdp && send(fd.get(), "?", 1, 0) < 0) {
    return ErrnoError("send(%s:%d)", ip.ToString(), port);
  }
  pollfd event = {fd.get(), POLLIN, 0};
  if (poll(&event, 1, kTimeoutMs) == 0) {
    return absl::DeadlineExceededError("no answer");
  }
  char answer[128];
  ssize_t size = recv(fd.get(), answer, sizeof(answer), 0);
  if (size < 0) return ErrnoError("recv(%s:%d)", ip.ToString(), port);
  return std::string(answer, static_cast<size_t>(size));
}

absl::StatusOr<std::string> Client::Ask(absl::string_view address,
                                        uint16_t port) const {
  absl::StatusOr<std::string> answer;
  RETURN_IF_ERROR(netns_.Run([&]() -> absl::Status {
    answer = AskHere(address, port);
    return answer.status();
  }));
  return answer;
}

}  // namespace davit::testing
