#include "net/plugins/bridge_link.h"

#include <linux/rtnetlink.h>
#include <sys/random.h>

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "net/netlink/stable_hash.h"
#include "net/netlink/wait_for_change.h"
#include "net/plugins/sysctl.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// As long as Go's plugin waits.
constexpr absl::Duration kPortTimeout = absl::Milliseconds(2550);

absl::StatusOr<MacAddress> RandomMac() {
  uint64_t random;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
    return ErrnoError("getrandom(8)");
  }
  return MacAddress::FromHash(random);
}

absl::StatusOr<Link> GetOrCreateBridge(Netlink& node,
                                       const BridgeConfig& config) {
  absl::StatusOr<Link> link = node.GetLink(config.bridge);
  if (!absl::IsNotFound(link.status())) return link;
  BridgeSpec spec;
  spec.name = config.bridge;
  spec.mtu = config.interface.mtu;
  spec.vlan_filtering = config.uses_vlans();
  ASSIGN_OR_RETURN(spec.mac, RandomMac());
  absl::Status status = node.AddBridge(spec);
  // Another process was faster.
  if (!absl::IsAlreadyExists(status)) RETURN_IF_ERROR(status);
  return node.GetLink(config.bridge);
}

absl::Status CheckKind(const BridgeConfig& config, const Link& bridge) {
  if (bridge.kind != "bridge") {
    return absl::FailedPreconditionError(absl::StrFormat(
        "\"%s\" already exists but is not a bridge", config.bridge));
  }
  // Go's plugin goes on without, and the pods are in no VLAN at all.
  if (config.uses_vlans() && !bridge.bridge->vlan_filtering) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: bridge \"%s\" exists without VLAN filtering",
        config.vlan != 0 ? "vlan" : "vlanTrunk", config.bridge));
  }
  return absl::OkStatus();
}

// Settings of an interface of ours on the node, before it is up for the first
// time. Best effort: a kernel without IPv6 has none of these files.
void TuneGatewayLink(const BridgeConfig& config, const std::string& name) {
  const std::string conf = absl::StrCat("ipv6/conf/", name, "/");
  // Routes of this interface are ours alone.
  SetSysctl(conf + "accept_ra", "0").IgnoreError();
  // Its link-local address comes of a random MAC address. While that were
  // tentative, the node could not look for pods on behalf of others.
  if (!config.interface.enable_dad) {
    SetSysctl(conf + "accept_dad", "0").IgnoreError();
  }
}

// The pair of a VLAN's gateway. Its name and its port's are the same in every
// process.
absl::StatusOr<Link> CreateVlanGateway(Netlink& node,
                                       const BridgeConfig& config,
                                       const Link& bridge,
                                       const std::string& name) {
  VethPair pair;
  pair.name = absl::StrFormat(
      "veth%08x", static_cast<uint32_t>(StableHash({"vlan gateway", name})));
  pair.peer_name = name;
  pair.mtu = bridge.mtu;
  pair.master_index = bridge.index;
  absl::Status status = node.AddVethPair(pair);
  if (!absl::IsAlreadyExists(status)) RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(Link port, node.GetLink(pair.name));
  BridgeConfig access = config;
  access.port = BridgePort();
  access.trunk.clear();
  RETURN_IF_ERROR(ConfigurePort(node, access, bridge, port));
  RETURN_IF_ERROR(node.SetLinkUp(port.index, true));
  ASSIGN_OR_RETURN(Link link, node.GetLink(name));
  TuneGatewayLink(config, name);
  // Last: that it is up says that it is complete.
  RETURN_IF_ERROR(node.SetLinkUp(link.index, true));
  return link;
}

// Takes away what is in the way of `wanted`. IPv6 prefixes may lie side by
// side.
absl::Status RemoveConflicts(Netlink& node, const BridgeConfig& config,
                             const Link& link, const IpPrefix& wanted,
                             const std::vector<Address>& present) {
  for (const Address& address : present) {
    const IpAddress& ip = address.prefix.address;
    if (ip.is_v6() != wanted.address.is_v6()) continue;
    if (ip.is_v6() && !address.prefix.Contains(wanted.address) &&
        !wanted.Contains(ip)) {
      continue;
    }
    if (!config.force_address) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "\"%s\" already has an IP address different from %s: %s", link.name,
          wanted.ToString(), address.prefix.ToString()));
    }
    absl::Status status = node.DeleteAddress(link.index, address.prefix);
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status EnsureGatewayAddress(Netlink& node, const BridgeConfig& config,
                                  const Link& link, const IpPrefix& wanted) {
  ASSIGN_OR_RETURN(std::vector<Address> present,
                   node.ListAddresses(link.index));
  if (std::any_of(present.begin(), present.end(), [&](const Address& address) {
        return address.prefix == wanted;
      })) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(RemoveConflicts(node, config, link, wanted, present));
  Address address;
  address.index = link.index;
  address.prefix = wanted;
  // The configuration gives the network's gateway address to the bridge.
  address.no_dad = wanted.address.is_v6() && !config.interface.enable_dad;
  absl::Status status = node.AddAddress(address);
  if (!absl::IsAlreadyExists(status)) RETURN_IF_ERROR(status);
  // A bridge that somebody else made may take each MAC address of its ports in
  // turn; setting the one that it has makes it stay.
  ASSIGN_OR_RETURN(Link now, node.GetLink(link.index));
  LinkChange pin;
  pin.mac = now.mac;
  return node.ChangeLink(link.index, pin);
}

}  // namespace

absl::StatusOr<Link> EnsureBridge(Netlink& node, const BridgeConfig& config) {
  ASSIGN_OR_RETURN(Link bridge, GetOrCreateBridge(node, config));
  RETURN_IF_ERROR(CheckKind(config, bridge));
  LinkChange change;
  if (config.promiscuous && !bridge.promiscuous) change.promiscuous = true;
  if (!bridge.up) {
    TuneGatewayLink(config, config.bridge);
    change.up = true;
  }
  if (change.up.has_value() || change.promiscuous.has_value()) {
    RETURN_IF_ERROR(node.ChangeLink(bridge.index, change));
  }
  return bridge;
}

absl::Status ConfigurePort(Netlink& node, const BridgeConfig& config,
                           const Link& bridge, const Link& port) {
  // That is how a port is born.
  if (config.port != BridgePort()) {
    RETURN_IF_ERROR(node.SetBridgePort(port.index, config.port));
  }
  const uint16_t default_pvid =
      bridge.bridge.value_or(BridgeState()).default_pvid;
  const PortVlanPlan plan = PlanPortVlans(config, default_pvid);
  RETURN_IF_ERROR(node.RemovePortVlans(port.index, plan.remove));
  return node.AddPortVlans(port.index, plan.add);
}

absl::StatusOr<Link> EnsureGatewayLink(Netlink& node,
                                       const BridgeConfig& config,
                                       const Link& bridge) {
  if (config.vlan == 0) return bridge;
  const std::string name = absl::StrCat(config.bridge, ".", config.vlan);
  RETURN_IF_ERROR(CheckInterfaceName("bridge and vlan", name));
  absl::StatusOr<Link> link = node.GetLink(name);
  if (link.ok() && link->up) return link;
  if (!link.ok() && !absl::IsNotFound(link.status())) return link.status();
  return CreateVlanGateway(node, config, bridge, name);
}

absl::Status EnsureGatewayAddresses(Netlink& node, const BridgeConfig& config,
                                    const Link& link, const CniResult& result) {
  for (const CniIp& ip : result.ips) {
    if (!ip.gateway.has_value()) continue;
    RETURN_IF_ERROR(EnsureGatewayAddress(node, config, link,
                                         {*ip.gateway, ip.address.length}));
  }
  return absl::OkStatus();
}

absl::Status WaitForPort(Netlink& node, const Link& port) {
  auto is_open = [&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(Link now, node.GetLink(port.index));
    return now.operational;
  };
  return Annotate(WaitForChange(-1, RTMGRP_LINK, kPortTimeout, is_open),
                  absl::StrCat("bridge port ", port.name, " is not up"));
}

}  // namespace davit
