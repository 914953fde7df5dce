#include "net/nat/listeners.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/nl_message.h"
#include "net/netlink/nl_socket.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

struct Listener {
  PortProtocol protocol;
  IpAddress address;
  uint16_t port = 0;
  bool dual_stack = false;  // an IPv6 socket that takes IPv4 as well
  uint32_t inode = 0;
};

bool IsUnspecified(const IpAddress& address) {
  return std::all_of(address.data(), address.data() + address.size(),
                     [](uint8_t byte) { return byte == 0; });
}

std::optional<Listener> ParseListener(PortProtocol protocol,
                                      const NlReply& reply) {
  const auto* message = reply.FamilyHeader<inet_diag_msg>();
  if (message == nullptr) return std::nullopt;
  const bool v6 = message->idiag_family == AF_INET6;
  absl::StatusOr<IpAddress> address =
      IpAddress::FromBytes(message->id.idiag_src, v6 ? 16 : 4);
  if (!address.ok()) return std::nullopt;
  NlAttributes attributes(reply, sizeof(inet_diag_msg), INET_DIAG_MAX);
  std::optional<absl::string_view> only = attributes.Bytes(INET_DIAG_SKV6ONLY);
  const bool v6_only = only.has_value() && !only->empty() && (*only)[0] != 0;
  return Listener{protocol, *address, ntohs(message->id.idiag_sport),
                  v6 && !v6_only, message->idiag_inode};
}

// Calls `visit` for every socket that listens.
absl::Status ForEachListener(
    NlSocket& socket, PortProtocol protocol, int family,
    const std::function<void(const Listener&)>& visit) {
  inet_diag_req_v2 request = {};
  request.sdiag_family = static_cast<uint8_t>(family);
  request.sdiag_protocol = static_cast<uint8_t>(protocol);
  // A UDP socket "listens" in the state of a closed one.
  request.idiag_states =
      protocol == PortProtocol::kUdp ? 1 << TCP_CLOSE : 1 << TCP_LISTEN;
  NlMessage message(SOCK_DIAG_BY_FAMILY, 0, request);
  absl::Status status = socket.Dump(
      message, absl::StrCat("SOCK_DIAG_BY_FAMILY ", PortProtocolName(protocol)),
      [&](const NlReply& reply) {
        std::optional<Listener> listener = ParseListener(protocol, reply);
        if (listener.has_value()) visit(*listener);
        return true;
      },
      // Seeing a socket twice does no harm.
      [] {});
  // A kernel without the protocol has no sockets of it.
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

bool Overlap(const PortForward& forward, const Listener& listener) {
  if (listener.protocol != forward.protocol ||
      listener.port != forward.node_port) {
    return false;
  }
  if (listener.address.is_v6() != forward.pod_address.is_v6()) {
    return listener.dual_stack && IsUnspecified(listener.address);
  }
  return !forward.node_address.has_value() || IsUnspecified(listener.address) ||
         listener.address == *forward.node_address;
}

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

std::vector<std::string> ListNames(const std::string& path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, DirectoryCloser> directory(opendir(path.c_str()));
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory.get())) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(entry->d_name[0]))) {
      names.push_back(entry->d_name);
    }
  }
  return names;
}

// "nginx (pid 123)" for who holds the socket.
std::string ProcessWithSocket(uint32_t inode) {
  const std::string wanted = absl::StrCat("socket:[", inode, "]");
  for (const std::string& pid : ListNames("/proc")) {
    const std::string fds = absl::StrCat("/proc/", pid, "/fd");
    for (const std::string& fd : ListNames(fds)) {
      char target[64];
      ssize_t size =
          readlink(absl::StrCat(fds, "/", fd).c_str(), target, sizeof(target));
      if (size <= 0 || wanted != std::string(target, static_cast<size_t>(size)))
        continue;
      std::string name =
          ReadFile(absl::StrCat("/proc/", pid, "/comm")).value_or("?");
      return absl::StrFormat("%s (pid %s)",
                             absl::StripTrailingAsciiWhitespace(name), pid);
    }
  }
  return absl::StrFormat("a process that /proc does not show (socket inode %d)",
                         inode);
}

}  // namespace

absl::Status CheckNobodyListens(const std::vector<PortForward>& forwards) {
  if (forwards.empty()) return absl::OkStatus();
  std::set<std::pair<PortProtocol, int>> kinds;
  for (const PortForward& forward : forwards) {
    // IPv6 sockets may take IPv4 connections, never the other way round.
    kinds.insert({forward.protocol, AF_INET6});
    if (!forward.pod_address.is_v6()) kinds.insert({forward.protocol, AF_INET});
  }
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_SOCK_DIAG));
  std::optional<std::pair<PortForward, Listener>> conflict;
  for (const auto& [protocol, family] : kinds) {
    RETURN_IF_ERROR(ForEachListener(
        socket, protocol, family, [&](const Listener& listener) {
          for (const PortForward& forward : forwards) {
            if (Overlap(forward, listener)) conflict = {forward, listener};
          }
        }));
  }
  if (!conflict.has_value()) return absl::OkStatus();
  const auto& [forward, listener] = *conflict;
  return absl::FailedPreconditionError(absl::StrFormat(
      "host port %s is taken: %s listens on %s", forward.NodeEnd(),
      ProcessWithSocket(listener.inode),
      absl::StrFormat(listener.address.is_v6() ? "[%s]:%d" : "%s:%d",
                      listener.address.ToString(), listener.port)));
}

}  // namespace davit
