#include "net/plugins/pod_interface.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "net/netlink/in_netns.h"
#include "net/netlink/wait_for_change.h"
#include "net/plugins/sysctl.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// As long as Go's plugins wait.
constexpr absl::Duration kDadTimeout = absl::Seconds(10);

// Runs in the pod's namespace, before the interface goes up.
absl::Status SetPodSysctls(const std::string& ifname, bool v6,
                           const PodInterfaceOptions& options) {
  const std::string v4_conf = absl::StrCat("ipv4/conf/", ifname, "/");
  const std::string v6_conf = absl::StrCat("ipv6/conf/", ifname, "/");
  if (options.arp_notify) {
    SetSysctl(v4_conf + "arp_notify", "1").IgnoreError();
  }
  if (options.ndisc_notify) {
    SetSysctl(v6_conf + "ndisc_notify", "1").IgnoreError();
  }
  if (!v6) return absl::OkStatus();
  RETURN_IF_ERROR(SetSysctl("ipv6/conf/lo/disable_ipv6", "0"));
  RETURN_IF_ERROR(SetSysctl(v6_conf + "disable_ipv6", "0"));
  RETURN_IF_ERROR(SetSysctl(v6_conf + "keep_addr_on_down", "1"));
  if (options.enable_dad) {
    // Its own probes, looped back by a switch, are no duplicates (RFC 7527).
    SetSysctl(v6_conf + "enhanced_dad", "1").IgnoreError();
  }
  return SetSysctl(v6_conf + "accept_dad", options.enable_dad ? "1" : "0");
}

absl::Status WaitForDad(PodEnds& ends, int index) {
  auto is_settled = [&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(std::vector<Address> addresses,
                     ends.pod.ListAddresses(index));
    for (const Address& address : addresses) {
      if (address.duplicate) {
        return absl::AbortedError(absl::StrFormat(
            "somebody else on the link has %s", address.prefix.ToString()));
      }
    }
    return std::none_of(addresses.begin(), addresses.end(),
                        [](const Address& a) { return a.tentative; });
  };
  return Annotate(WaitForChange(ends.pod_netns.get(), RTMGRP_IPV6_IFADDR,
                                kDadTimeout, is_settled),
                  "duplicate address detection");
}

bool IsGateway(const CniResult& result, const IpAddress& address) {
  return std::any_of(result.ips.begin(), result.ips.end(),
                     [&](const CniIp& ip) { return ip.gateway == address; });
}

std::optional<IpAddress> FirstGateway(const CniResult& result, bool v6) {
  for (const CniIp& ip : result.ips) {
    if (ip.gateway.has_value() && ip.gateway->is_v6() == v6) return ip.gateway;
  }
  return std::nullopt;
}

// Narrows a number of a route's optional attribute.
absl::Status SetNumber(const char* name, const std::optional<int64_t>& from,
                       int64_t max, uint32_t* to) {
  if (!from.has_value()) return absl::OkStatus();
  if (*from < 0 || *from > max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %d is not in 0..%d", name, *from, max));
  }
  *to = static_cast<uint32_t>(*from);
  return absl::OkStatus();
}

absl::StatusOr<LinkRoute> ToLinkRoute(int index, const CniRoute& from) {
  constexpr int64_t kMax32 = 0xffffffff;
  LinkRoute route;
  route.index = index;
  route.destination = from.destination;
  route.gateway = from.gateway;
  uint32_t scope = route.scope;
  RETURN_IF_ERROR(SetNumber("scope", from.scope, 255, &scope));
  route.scope = static_cast<uint8_t>(scope);
  RETURN_IF_ERROR(SetNumber("table", from.table, kMax32, &route.table));
  RETURN_IF_ERROR(
      SetNumber("priority", from.priority, kMax32, &route.priority));
  RETURN_IF_ERROR(SetNumber("mtu", from.mtu, kMax32, &route.mtu));
  RETURN_IF_ERROR(SetNumber("advmss", from.advmss, kMax32, &route.advmss));
  return route;
}

absl::Status AddPodRoute(PodEnds& ends, const Link& link, const CniRoute& from,
                         const CniResult& result, bool any_gateway) {
  ASSIGN_OR_RETURN(LinkRoute route, ToLinkRoute(link.index, from));
  if (!route.gateway.has_value()) {
    route.gateway = FirstGateway(result, route.destination.address.is_v6());
  }
  route.on_link = any_gateway && route.gateway.has_value() &&
                  !IsGateway(result, *route.gateway);
  // Several networks of a pod may lead everywhere: the first one does then. (A
  // route of Go's plugins goes before what is there.)
  return ends.pod.AppendRoute(route);
}

}  // namespace

bool HasAddressOf(const CniResult& result, bool v6) {
  return std::any_of(
      result.ips.begin(), result.ips.end(),
      [v6](const CniIp& ip) { return ip.address.address.is_v6() == v6; });
}

absl::Status BringUpPodInterface(PodEnds& ends, const Link& link,
                                 const CniResult& result,
                                 const PodInterfaceOptions& options) {
  const bool v6 = HasAddressOf(result, /*v6=*/true);
  if (v6 || options.arp_notify || options.ndisc_notify) {
    RETURN_IF_ERROR(RunInNetns(ends.pod_netns.get(), [&] {
      return SetPodSysctls(link.name, v6, options);
    }));
  }
  for (const CniIp& ip : result.ips) {
    const bool is_v6 = ip.address.address.is_v6();
    RETURN_IF_ERROR(
        ends.pod.AddAddress({.index = link.index,
                             .prefix = ip.address,
                             .no_prefix_route = !options.prefix_on_link,
                             .no_dad = is_v6 && !options.enable_dad}));
  }
  RETURN_IF_ERROR(ends.pod.SetLinkUp(link.index, true));
  return v6 && options.enable_dad ? WaitForDad(ends, link.index)
                                  : absl::OkStatus();
}

absl::Status AddPodRoutes(PodEnds& ends, const Link& link,
                          const CniResult& result, bool any_gateway) {
  for (const CniRoute& route : result.routes) {
    RETURN_IF_ERROR(
        AddPodRoute(ends, link, route, result, any_gateway),
        absl::StrCat("route ", route.destination.ToString(), " of IPAM"));
  }
  return absl::OkStatus();
}

absl::Status EnableForwarding(const CniResult& result) {
  if (HasAddressOf(result, /*v6=*/false)) {
    RETURN_IF_ERROR(SetSysctl("ipv4/ip_forward", "1"),
                    "could not enable IP forwarding");
  }
  if (HasAddressOf(result, /*v6=*/true)) {
    RETURN_IF_ERROR(SetSysctl("ipv6/conf/all/forwarding", "1"),
                    "could not enable IP forwarding");
  }
  return absl::OkStatus();
}

}  // namespace davit
