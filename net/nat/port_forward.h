#ifndef DAVIT_NET_NAT_PORT_FORWARD_H_
#define DAVIT_NET_NAT_PORT_FORWARD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "net/netlink/ip_address.h"

namespace davit {

// Transport protocols that have ports; the values are those of the IP header.
enum class PortProtocol : uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };

// "tcp", "udp" or "sctp", in whatever case; nullopt for others.
std::optional<PortProtocol> ParsePortProtocol(absl::string_view text);
absl::string_view PortProtocolName(PortProtocol protocol);

// One port of the node that leads to a port of a pod, in one address family
// (the pod address's).
struct PortForward {
  PortProtocol protocol = PortProtocol::kTcp;
  // One address of the node; nullopt for all of the family.
  std::optional<IpAddress> node_address;
  uint16_t node_port = 0;
  IpAddress pod_address;
  uint16_t pod_port = 0;

  // What a client names: "tcp 192.0.2.1:8080", "udp [fd00::1]:53",
  // "tcp *:8080" (all IPv4 addresses), "tcp [*]:8080" (all IPv6 ones).
  std::string NodeEnd() const;
  bool operator==(const PortForward&) const = default;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_PORT_FORWARD_H_
