#include "net/plugins/ptp_check.h"

#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "net/nat/masquerade.h"
#include "net/plugins/ptp_link.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status Missing(std::string message) {
  return absl::FailedPreconditionError(std::move(message));
}

// The pod's interface in prevResult.
absl::StatusOr<CniInterface> FindPodInterface(const PluginRequest& request,
                                              const CniResult& previous) {
  for (const CniInterface& interface : previous.interfaces) {
    if (interface.name == request.ifname &&
        interface.sandbox == request.netns) {
      return interface;
    }
  }
  return Missing(
      absl::StrFormat("prevResult has no interface \"%s\" in sandbox \"%s\"",
                      request.ifname, request.netns));
}

absl::Status CheckLink(const Link& link, const CniInterface& expected) {
  if (link.kind != "veth") {
    return Missing(
        absl::StrFormat("interface %s is not of type veth", expected.name));
  }
  if (!expected.mac.empty() &&
      (!link.mac.has_value() || link.mac->ToString() != expected.mac)) {
    return Missing(absl::StrFormat(
        "interface %s has MAC %s, not %s", expected.name,
        link.mac.value_or(MacAddress()).ToString(), expected.mac));
  }
  return absl::OkStatus();
}

absl::Status CheckAddresses(Netlink& pod, const Link& link,
                            const CniResult& previous) {
  ASSIGN_OR_RETURN(std::vector<Address> addresses,
                   pod.ListAddresses(link.index));
  for (const CniIp& ip : previous.ips) {
    bool found =
        std::any_of(addresses.begin(), addresses.end(),
                    [&](const Address& a) { return a.prefix == ip.address; });
    if (!found) {
      return Missing(absl::StrFormat("interface %s lacks address %s", link.name,
                                     ip.address.ToString()));
    }
  }
  return absl::OkStatus();
}

// The destinations that the pod must have routes for, with the next hop if it
// is known.
std::vector<CniRoute> ExpectedRoutes(const CniResult& previous, bool v6) {
  std::vector<CniRoute> expected;
  for (const CniIp& ip : previous.ips) {
    bool single = ip.address.length == ip.address.address.bits();
    if (ip.address.address.is_v6() == v6 && !single) {
      expected.push_back({ip.address.Network(), ip.gateway});
    }
  }
  for (const CniRoute& route : previous.routes) {
    if (route.destination.address.is_v6() == v6) expected.push_back(route);
  }
  return expected;
}

absl::Status CheckRoutes(Netlink& pod, const Link& link,
                         const CniResult& previous, bool v6) {
  const std::vector<CniRoute> expected = ExpectedRoutes(previous, v6);
  if (expected.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<LinkRoute> routes,
                   pod.ListRoutes(link.index, v6 ? AF_INET6 : AF_INET));
  for (const CniRoute& want : expected) {
    bool found =
        std::any_of(routes.begin(), routes.end(), [&](const LinkRoute& route) {
          return route.destination == want.destination.Network() &&
                 (!want.gateway.has_value() || route.gateway == want.gateway);
        });
    if (!found) {
      return Missing(absl::StrFormat("interface %s lacks the route to %s",
                                     link.name, want.destination.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPod(Netlink& pod, const PluginRequest& request,
                      const CniResult& previous) {
  ASSIGN_OR_RETURN(CniInterface expected, FindPodInterface(request, previous));
  ASSIGN_OR_RETURN(Link link, pod.GetLink(expected.name));
  RETURN_IF_ERROR(CheckLink(link, expected));
  RETURN_IF_ERROR(CheckAddresses(pod, link, previous));
  RETURN_IF_ERROR(CheckRoutes(pod, link, previous, /*v6=*/false));
  return CheckRoutes(pod, link, previous, /*v6=*/true);
}

absl::Status CheckNode(Netlink& node, const PluginRequest& request,
                       const CniResult& previous) {
  const std::string name = HostNameOf(previous);
  if (name.empty()) {
    return Missing("prevResult has no interface on the host");
  }
  ASSIGN_OR_RETURN(Link link, node.GetLink(name));
  for (const CniIp& ip : previous.ips) {
    ASSIGN_OR_RETURN(int index, node.LookUpRoute(ip.address.address));
    if (index != link.index) {
      return Missing(absl::StrFormat(
          "the node's route to %s of container %s does not go by %s",
          ip.address.address.ToString(), request.container_id, name));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMasquerade(const PluginRequest& request,
                             const CniResult& previous) {
  ASSIGN_OR_RETURN(Masquerade masquerade, Masquerade::Open());
  for (const CniIp& ip : previous.ips) {
    ASSIGN_OR_RETURN(bool found, masquerade.Contains(
                                     ip.address.address,
                                     {request.container_id, request.ifname}));
    if (!found) {
      return Missing(absl::StrFormat("%s is not masqueraded",
                                     ip.address.address.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
