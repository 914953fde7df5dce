#include "net/plugins/interface_check.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
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
std::vector<CniRoute> ExpectedRoutes(const CniResult& previous, bool v6,
                                     bool prefix_by_gateway) {
  std::vector<CniRoute> expected;
  for (const CniIp& ip : previous.ips) {
    bool single = ip.address.length == ip.address.address.bits();
    if (ip.address.address.is_v6() != v6 || single) continue;
    CniRoute route;
    route.destination = ip.address.Network();
    if (prefix_by_gateway) route.gateway = ip.gateway;
    expected.push_back(route);
  }
  for (const CniRoute& route : previous.routes) {
    if (route.destination.address.is_v6() == v6) expected.push_back(route);
  }
  return expected;
}

absl::Status CheckRoutes(Netlink& pod, const Link& link,
                         const CniResult& previous, bool v6,
                         bool prefix_by_gateway) {
  const std::vector<CniRoute> expected =
      ExpectedRoutes(previous, v6, prefix_by_gateway);
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

absl::Status CheckMac(const Link& link, const CniInterface& expected) {
  const std::string mac = link.mac.value_or(MacAddress()).ToString();
  if (expected.mac.empty() || mac == expected.mac) return absl::OkStatus();
  return Missing(absl::StrFormat("interface %s has MAC %s, not %s",
                                 expected.name, mac, expected.mac));
}

absl::StatusOr<Link> CheckPodInterface(Netlink& pod,
                                       const PluginRequest& request,
                                       const CniResult& previous,
                                       const std::string& kind,
                                       bool prefix_by_gateway) {
  ASSIGN_OR_RETURN(CniInterface expected, FindPodInterface(request, previous));
  ASSIGN_OR_RETURN(Link link, pod.GetLink(expected.name));
  if (link.kind != kind) {
    return Missing(
        absl::StrFormat("interface %s is not of type %s", expected.name, kind));
  }
  RETURN_IF_ERROR(CheckMac(link, expected));
  RETURN_IF_ERROR(CheckAddresses(pod, link, previous));
  for (bool v6 : {false, true}) {
    RETURN_IF_ERROR(CheckRoutes(pod, link, previous, v6, prefix_by_gateway));
  }
  return link;
}

}  // namespace davit
