#include "net/plugins/ptp_routes.h"

#include <set>

#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::Status CheckPtpIpamResult(const CniResult& result) {
  if (result.ips.empty()) {
    return absl::InvalidArgumentError("IPAM plugin returned missing IP config");
  }
  for (const CniIp& ip : result.ips) {
    if (!ip.gateway.has_value() ||
        ip.gateway->is_v6() != ip.address.address.is_v6()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "IPAM plugin returned no gateway for %s, which ptp needs",
          ip.address.ToString()));
    }
  }
  return absl::OkStatus();
}

// The prefix is not on the link, so the address has made no route for it.
absl::Status AddPtpPodRoutes(PodEnds& ends, const Link& link,
                             const CniResult& result) {
  std::set<IpAddress> gateways;
  std::set<IpAddress> networks;
  for (const CniIp& ip : result.ips) {
    LinkRoute route;
    route.index = link.index;
    route.source = ip.address.address;
    if (gateways.insert(*ip.gateway).second) {
      route.destination = IpPrefix::Host(*ip.gateway);
      route.scope = static_cast<uint8_t>(LinkRoute::Scope::kLink);
      RETURN_IF_ERROR(ends.pod.AddRoute(route));
    }
    // A prefix of one address is the pod's own.
    if (ip.address.length == ip.address.address.bits()) continue;
    route.destination = ip.address.Network();
    if (!networks.insert(route.destination.address).second) continue;
    route.gateway = ip.gateway;
    route.scope = static_cast<uint8_t>(LinkRoute::Scope::kUniverse);
    RETURN_IF_ERROR(ends.pod.AddRoute(route));
  }
  return absl::OkStatus();
}

absl::Status ConfigurePtpNode(Netlink& node, const Link& link,
                              const CniResult& result) {
  std::set<IpAddress> gateways;
  for (const CniIp& ip : result.ips) {
    // Never a duplicate: the node has the gateway's address on every veth, and
    // on each of them there is only the pod.
    if (gateways.insert(*ip.gateway).second) {
      RETURN_IF_ERROR(node.AddAddress({.index = link.index,
                                       .prefix = IpPrefix::Host(*ip.gateway),
                                       .no_prefix_route = true,
                                       .no_dad = ip.gateway->is_v6()}));
    }
    LinkRoute route;
    route.index = link.index;
    route.destination = IpPrefix::Host(ip.address.address);
    route.scope = static_cast<uint8_t>(LinkRoute::Scope::kHost);
    RETURN_IF_ERROR(node.AddRoute(route));
  }
  return absl::OkStatus();
}

absl::Status CheckPtpNode(Netlink& node, const PluginRequest& request,
                          const CniResult& previous) {
  const CniInterface* host = FindHostInterface(previous);
  if (host == nullptr) {
    return absl::FailedPreconditionError(
        "prevResult has no interface on the host");
  }
  ASSIGN_OR_RETURN(Link link, node.GetLink(host->name));
  for (const CniIp& ip : previous.ips) {
    ASSIGN_OR_RETURN(int index, node.LookUpRoute(ip.address.address));
    if (index != link.index) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "the node's route to %s of container %s does not go by %s",
          ip.address.address.ToString(), request.container_id, host->name));
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
