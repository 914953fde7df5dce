#include "net/plugins/bridge_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/plugins/interface_check.h"
#include "net/plugins/pod_veth.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status Wrong(std::string message) {
  return absl::FailedPreconditionError(std::move(message));
}

// The gateways' addresses, on the bridge or on its interface in the VLAN.
absl::Status CheckGateways(Netlink& node, const BridgeConfig& config,
                           const CniResult& previous) {
  const std::string name = config.vlan == 0
                               ? config.bridge
                               : absl::StrCat(config.bridge, ".", config.vlan);
  ASSIGN_OR_RETURN(Link link, node.GetLink(name));
  ASSIGN_OR_RETURN(std::vector<Address> addresses,
                   node.ListAddresses(link.index));
  for (const CniIp& ip : previous.ips) {
    if (!ip.gateway.has_value()) continue;
    const IpPrefix wanted{*ip.gateway, ip.address.length};
    if (std::none_of(addresses.begin(), addresses.end(),
                     [&](const Address& a) { return a.prefix == wanted; })) {
      return Wrong(
          absl::StrFormat("interface %s lacks the gateway's address %s", name,
                          wanted.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBridge(Netlink& node, const BridgeConfig& config,
                         const CniResult& previous) {
  ASSIGN_OR_RETURN(Link bridge, node.GetLink(config.bridge));
  if (bridge.kind != "bridge") {
    return Wrong(
        absl::StrFormat("interface %s is not of type bridge", config.bridge));
  }
  for (const CniInterface& interface : previous.interfaces) {
    if (interface.name == config.bridge && interface.sandbox.empty()) {
      RETURN_IF_ERROR(CheckMac(bridge, interface));
    }
  }
  if (bridge.promiscuous != config.promiscuous) {
    return Wrong(absl::StrFormat("promiscMode: bridge %s has it %s",
                                 config.bridge,
                                 bridge.promiscuous ? "on" : "off"));
  }
  return config.is_gateway ? CheckGateways(node, config, previous)
                           : absl::OkStatus();
}

absl::Status CheckPort(Netlink& node, const BridgeConfig& config,
                       const Link& pod, const CniResult& previous) {
  const CniInterface* expected = FindHostInterface(previous, config.bridge);
  if (expected == nullptr) {
    return Wrong("prevResult has no interface on the host");
  }
  ASSIGN_OR_RETURN(Link port, node.GetLink(expected->name));
  ASSIGN_OR_RETURN(Link bridge, node.GetLink(config.bridge));
  if (port.kind != "veth" || port.peer_index != pod.index ||
      pod.peer_index != port.index) {
    return Wrong(absl::StrFormat("interface %s is not the other end of %s",
                                 port.name, pod.name));
  }
  if (port.master_index != bridge.index) {
    return Wrong(absl::StrFormat("interface %s is no port of bridge %s",
                                 port.name, config.bridge));
  }
  const BridgePort settings = port.port.value_or(BridgePort());
  if (settings != config.port) {
    return Wrong(absl::StrFormat(
        "bridge port %s has hairpinMode %d and portIsolation %d", port.name,
        settings.hairpin, settings.isolated));
  }
  return CheckMac(port, *expected);
}

}  // namespace davit
