#include "net/plugins/ptp_link.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/in_netns.h"
#include "net/netlink/stable_hash.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kHostNameCandidates = 10;
constexpr size_t kMaxAlias = 127;

// Writes only what differs: a read-only /proc/sys is fine if it is right.
absl::Status SetSysctl(const std::string& name, const std::string& value) {
  const std::string path = absl::StrCat("/proc/sys/net/", name);
  ASSIGN_OR_RETURN(std::string current, ReadFile(path));
  if (absl::StripAsciiWhitespace(current) == value) return absl::OkStatus();
  return WriteKernelFile(path, value);
}

bool HasFamily(const CniResult& result, bool v6) {
  return std::any_of(
      result.ips.begin(), result.ips.end(),
      [v6](const CniIp& ip) { return ip.address.address.is_v6() == v6; });
}

// The node's own settings of a new veth. Best effort, as in Go: a kernel
// without IPv6 has none of these files.
void TuneHostLink(const std::string& name) {
  const std::string conf = absl::StrCat("ipv6/conf/", name, "/");
  // Routes of this interface are ours alone.
  SetSysctl(conf + "accept_ra", "0").IgnoreError();
  SetSysctl(conf + "accept_dad", "0").IgnoreError();
}

// Runs in the pod's namespace, before the interface goes up.
absl::Status EnableIpv6(const std::string& ifname) {
  const std::string conf = absl::StrCat("ipv6/conf/", ifname, "/");
  RETURN_IF_ERROR(SetSysctl("ipv6/conf/lo/disable_ipv6", "0"));
  RETURN_IF_ERROR(SetSysctl(conf + "disable_ipv6", "0"));
  RETURN_IF_ERROR(SetSysctl(conf + "keep_addr_on_down", "1"));
  // There is no one else on the link: with duplicate address detection the
  // link-local address could not be used for one to two seconds.
  return SetSysctl(conf + "accept_dad", "0");
}

bool IsGateway(const CniResult& result, const IpAddress& address) {
  return std::any_of(result.ips.begin(), result.ips.end(),
                     [&](const CniIp& ip) { return ip.gateway == address; });
}

std::optional<IpAddress> FirstGateway(const CniResult& result, bool v6) {
  for (const CniIp& ip : result.ips) {
    if (ip.address.address.is_v6() == v6) return ip.gateway;
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

absl::StatusOr<LinkRoute> ToRoute(int index, const CniRoute& from) {
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

}  // namespace

std::vector<std::string> PtpAttachment::HostNames() const {
  std::vector<std::string> names;
  for (int i = 0; i < kHostNameCandidates; ++i) {
    uint64_t hash = StableHash({container_id, ifname, absl::StrCat(i)});
    names.push_back(
        absl::StrFormat("veth%08x", static_cast<uint32_t>(hash ^ hash >> 32)));
  }
  return names;
}

std::string PtpAttachment::Alias() const {
  return absl::StrCat(container_id, " ", ifname).substr(0, kMaxAlias);
}

absl::StatusOr<std::string> PtpLinks::AddPair(const PtpAttachment& attachment,
                                              const PtpConfig& config) {
  VethPair pair;
  pair.peer_name = attachment.ifname;
  pair.peer_netns_fd = pod_netns_fd_;
  pair.peer_mac = config.mac;
  pair.mtu = config.mtu;
  absl::Status status;
  for (const std::string& name : attachment.HostNames()) {
    pair.name = name;
    status = node_.AddVethPair(pair);
    if (status.ok()) return name;
    // EEXIST does not say which of the two names is taken.
    if (!absl::IsAlreadyExists(status) ||
        pod_.GetLink(attachment.ifname).ok()) {
      break;
    }
  }
  return status;
}

absl::StatusOr<PtpLink> PtpLinks::Create(const PtpAttachment& attachment,
                                         const PtpConfig& config) {
  ASSIGN_OR_RETURN(const std::string name, AddPair(attachment, config));
  Rollback rollback;  // until the alias says whose it is
  rollback.Add("remove link", [&] { return node_.DeleteLink(name); });
  PtpLink link;
  ASSIGN_OR_RETURN(link.host, node_.GetLink(name));
  ASSIGN_OR_RETURN(link.pod, pod_.GetLink(attachment.ifname));
  TuneHostLink(name);
  RETURN_IF_ERROR(node_.SetLinkUp(link.host.index, true, attachment.Alias()));
  rollback.Commit();
  return link;
}

// What a point-to-point link needs. The prefix is not on the link, so the
// address must not make a route for it.
absl::Status PtpLinks::AddPtpRoutes(int index, const CniResult& result) {
  std::set<IpAddress> gateways;
  std::set<IpAddress> networks;
  for (const CniIp& ip : result.ips) {
    LinkRoute route;
    route.index = index;
    route.source = ip.address.address;
    if (gateways.insert(*ip.gateway).second) {
      route.destination = IpPrefix::Host(*ip.gateway);
      route.scope = static_cast<uint8_t>(LinkRoute::Scope::kLink);
      RETURN_IF_ERROR(pod_.AddRoute(route));
    }
    // A prefix of one address is the pod's own.
    if (ip.address.length == ip.address.address.bits()) continue;
    route.destination = ip.address.Network();
    if (!networks.insert(route.destination.address).second) continue;
    route.gateway = ip.gateway;
    route.scope = static_cast<uint8_t>(LinkRoute::Scope::kUniverse);
    RETURN_IF_ERROR(pod_.AddRoute(route));
  }
  return absl::OkStatus();
}

absl::Status PtpLinks::AddIpamRoute(int index, const CniRoute& from,
                                    const CniResult& result) {
  ASSIGN_OR_RETURN(LinkRoute route, ToRoute(index, from));
  if (!route.gateway.has_value()) {
    route.gateway = FirstGateway(result, route.destination.address.is_v6());
  }
  // Whatever else is named as a next hop is beyond this one link too.
  route.on_link =
      route.gateway.has_value() && !IsGateway(result, *route.gateway);
  return pod_.AddRoute(route);
}

absl::Status PtpLinks::ConfigurePod(const PtpLink& link,
                                    const CniResult& result) {
  const int index = link.pod.index;
  if (HasFamily(result, /*v6=*/true)) {
    RETURN_IF_ERROR(
        RunInNetns(pod_netns_fd_, [&] { return EnableIpv6(link.pod.name); }));
  }
  for (const CniIp& ip : result.ips) {
    RETURN_IF_ERROR(pod_.AddAddress({.index = index,
                                     .prefix = ip.address,
                                     .no_prefix_route = true,
                                     .no_dad = ip.address.address.is_v6()}));
  }
  RETURN_IF_ERROR(pod_.SetLinkUp(index, true));
  RETURN_IF_ERROR(AddPtpRoutes(index, result));
  for (const CniRoute& route : result.routes) {
    RETURN_IF_ERROR(
        AddIpamRoute(index, route, result),
        absl::StrCat("route ", route.destination.ToString(), " of IPAM"));
  }
  return absl::OkStatus();
}

absl::Status PtpLinks::ConfigureNode(const PtpLink& link,
                                     const CniResult& result) {
  std::set<IpAddress> gateways;
  for (const CniIp& ip : result.ips) {
    if (gateways.insert(*ip.gateway).second) {
      RETURN_IF_ERROR(node_.AddAddress({.index = link.host.index,
                                        .prefix = IpPrefix::Host(*ip.gateway),
                                        .no_prefix_route = true,
                                        .no_dad = ip.gateway->is_v6()}));
    }
    LinkRoute route;
    route.index = link.host.index;
    route.destination = IpPrefix::Host(ip.address.address);
    route.scope = static_cast<uint8_t>(LinkRoute::Scope::kHost);
    RETURN_IF_ERROR(node_.AddRoute(route));
  }
  return absl::OkStatus();
}

std::string HostNameOf(const CniResult& result) {
  for (const CniInterface& interface : result.interfaces) {
    if (interface.sandbox.empty()) return interface.name;
  }
  return "";
}

absl::Status RemoveHostLink(Netlink* node, const PtpAttachment& attachment,
                            const CniResult& previous) {
  std::vector<std::string> names = attachment.HostNames();
  if (std::string name = HostNameOf(previous); !name.empty()) {
    names.push_back(name);
  }
  for (const std::string& name : names) {
    absl::StatusOr<Link> link = node->GetLink(name);
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link);
    bool ours =
        link->kind == "veth" &&
        (link->alias == attachment.Alias() ||
         std::any_of(previous.interfaces.begin(), previous.interfaces.end(),
                     [&](const CniInterface& interface) {
                       return interface.sandbox.empty() &&
                              interface.name == name && link->mac &&
                              interface.mac == link->mac->ToString();
                     }));
    if (!ours) continue;
    absl::Status status = node->DeleteLink(name);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status EnableForwarding(const CniResult& result) {
  if (HasFamily(result, /*v6=*/false)) {
    RETURN_IF_ERROR(SetSysctl("ipv4/ip_forward", "1"),
                    "could not enable IP forwarding");
  }
  if (HasFamily(result, /*v6=*/true)) {
    RETURN_IF_ERROR(SetSysctl("ipv6/conf/all/forwarding", "1"),
                    "could not enable IP forwarding");
  }
  return absl::OkStatus();
}

}  // namespace davit
