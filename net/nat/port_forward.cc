#include "net/nat/port_forward.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace davit {

std::optional<PortProtocol> ParsePortProtocol(absl::string_view text) {
  for (PortProtocol protocol :
       {PortProtocol::kTcp, PortProtocol::kUdp, PortProtocol::kSctp}) {
    if (absl::EqualsIgnoreCase(text, PortProtocolName(protocol))) {
      return protocol;
    }
  }
  return std::nullopt;
}

absl::string_view PortProtocolName(PortProtocol protocol) {
  switch (protocol) {
    case PortProtocol::kTcp:
      return "tcp";
    case PortProtocol::kUdp:
      return "udp";
    case PortProtocol::kSctp:
      return "sctp";
  }
  return "?";
}

std::string PortForward::NodeEnd() const {
  std::string host = node_address.has_value() ? node_address->ToString() : "*";
  if (pod_address.is_v6()) host = absl::StrCat("[", host, "]");
  return absl::StrFormat("%s %s:%d", PortProtocolName(protocol), host,
                         node_port);
}

}  // namespace davit
