#ifndef DAVIT_NET_PLUGINS_INTERFACE_CONFIG_H_
#define DAVIT_NET_PLUGINS_INTERFACE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "net/netlink/mac_address.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// What the configurations of all plugins that make an interface (ptp, bridge,
// macvlan) have in common, but for "ipam".
struct InterfaceConfig {
  bool has_ipam = false;  // ipam.type names a plugin; else the link is layer 2
  bool ip_masq = false;   // masquerade what leaves the node
  uint32_t mtu = 0;       // bytes; 0: the kernel's default
  // The container's MAC address: runtimeConfig.mac, else args.cni.mac, else MAC
  // of CNI_ARGS, else "mac" for plugins that have that key, else made of the
  // network's name and the pod's (K8S_POD_NAME of CNI_ARGS), so that a pod
  // keeps it; else the kernel picks one.
  std::optional<MacAddress> mac;
  // "enabledad": IPv6 addresses are usable only after duplicate address
  // detection, for which ADD then waits (1 to 2 seconds).
  bool enable_dad = false;
  // "hostInterfaceName", of runtimeConfig (a capability of that name) or of the
  // plugin: the name of the node's end of a veth ("ve-web"); empty: a hash.
  std::string host_ifname;
  CniDns dns;  // replaces IPAM's if any of it is set
};

// Whether the plugin has a key "mac".
enum class MacKey { kIgnore, kRead };

// InvalidArgument names the field.
absl::StatusOr<InterfaceConfig> ParseInterfaceConfig(
    const PluginRequest& request, MacKey mac_key = MacKey::kIgnore);

// What DEL reads: has_ipam and ip_masq. A configuration that ADD would refuse
// must not keep DEL from its work, so the rest is not looked at.
absl::StatusOr<InterfaceConfig> ParseInterfaceConfigForDel(
    const PluginRequest& request);

// InvalidArgument, with `field` in front, unless the kernel takes it as an
// interface's name.
absl::Status CheckInterfaceName(absl::string_view field,
                                absl::string_view name);

// prevResult of DEL and CHECK, or nullopt if there is none.
absl::StatusOr<std::optional<CniResult>> ParsePrevResult(
    const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_INTERFACE_CONFIG_H_
