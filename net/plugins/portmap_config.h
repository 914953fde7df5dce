#ifndef DAVIT_NET_PLUGINS_PORTMAP_CONFIG_H_
#define DAVIT_NET_PLUGINS_PORTMAP_CONFIG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "net/nat/port_forward.h"
#include "net/netlink/ip_address.h"
#include "net/plugins/plugin.h"

namespace davit {

// One entry of runtimeConfig.portMappings.
struct PortMapping {
  PortProtocol protocol = PortProtocol::kTcp;
  uint16_t host_port = 0;
  uint16_t container_port = 0;
  // How many successive ports, of both ends; an extension of ours ("range").
  uint16_t count = 1;
  // Unset for all addresses of the node: no hostIP. 0.0.0.0 and :: stand for
  // all addresses of their family.
  std::optional<IpAddress> host_ip;
  bool operator==(const PortMapping&) const = default;
};

struct PortmapConfig {
  bool snat = true;       // see PortMapPod::Masquerade::kNear
  bool masq_all = false;  // … kEverybody, if `snat`
  // Whether ADD refuses ports on which a process of the node listens; an
  // extension of ours ("checkHostPorts").
  bool check_host_ports = true;
  std::vector<PortMapping> mappings;
};

// InvalidArgument names the field. backend, markMasqBit and
// externalSetMarkChain are checked and mean nothing: the work is done by sets
// of nftables, without marks. conditionsV4 and conditionsV6 hold arguments of
// iptables and are refused unless they are empty.
absl::StatusOr<PortmapConfig> ParsePortmapConfig(const PluginRequest& request);

// What the mappings mean for a pod with these addresses, one for each port.
std::vector<PortForward> MakePortForwards(
    const PortmapConfig& config, const std::vector<IpAddress>& addresses);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PORTMAP_CONFIG_H_
