#ifndef DAVIT_NET_PLUGINS_BRIDGE_CONFIG_H_
#define DAVIT_NET_PLUGINS_BRIDGE_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/netlink/link.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/plugin.h"

namespace davit {

// The configuration of one network of the plugin "bridge", but for "ipam". The
// comments give the keys; keys and defaults are those of Go's plugin.
struct BridgeConfig {
  InterfaceConfig interface;
  std::string bridge = "cni0";      // "bridge": its name
  bool is_gateway = false;          // "isGateway": it has the pods' gateway
  bool is_default_gateway = false;  // "isDefaultGateway"; sets is_gateway
  bool force_address = false;       // "forceAddress": take others away from it
  bool promiscuous = false;         // "promiscMode"
  BridgePort port;                  // "hairpinMode", "portIsolation"
  uint16_t vlan = 0;                // "vlan": of the pod, untagged; 0: none
  // "vlanTrunk": VLANs that the pod sees with tags; in order, merged.
  std::vector<PortVlan> trunk;
  // "preserveDefaultVlan": the port stays in the bridge's default VLAN too.
  // True as in Go's plugins up to 1.7; theirs have changed to false with 1.8.
  bool preserve_default_vlan = true;
  bool mac_spoof_check = false;              // "macspoofchk"
  bool disable_container_interface = false;  // leave the pod's end down

  bool uses_vlans() const { return vlan != 0 || !trunk.empty(); }
};

// InvalidArgument names the field.
absl::StatusOr<BridgeConfig> ParseBridgeConfig(const PluginRequest& request);

// What is done with the VLANs of a new port of a bridge with this default VLAN.
struct PortVlanPlan {
  std::vector<PortVlan> remove;
  std::vector<PortVlan> add;
};
PortVlanPlan PlanPortVlans(const BridgeConfig& config, uint16_t default_pvid);

// Completes IPAM's result: gateways that IPAM left out, the first address of
// the prefix, if the bridge is to be the gateway; and with is_default_gateway a
// default route for each family that has none.
void CompleteGateways(const BridgeConfig& config, CniResult* result);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BRIDGE_CONFIG_H_
