#include "net/netlink/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/in_netns.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

ifinfomsg LinkHeader(int index = 0) {
  ifinfomsg header = {};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  return header;
}

std::optional<MacAddress> ParseMac(const NlAttributes& attributes) {
  std::optional<absl::string_view> bytes = attributes.Bytes(IFLA_ADDRESS);
  MacAddress mac;
  if (!bytes.has_value() || bytes->size() != mac.bytes.size()) {
    return std::nullopt;
  }
  memcpy(mac.bytes.data(), bytes->data(), mac.bytes.size());
  return mac;
}

absl::StatusOr<Link> ParseLink(const NlReply& reply) {
  const auto* header = reply.FamilyHeader<ifinfomsg>();
  if (reply.type() != RTM_NEWLINK || header == nullptr) {
    return absl::InternalError("malformed RTM_NEWLINK");
  }
  NlAttributes attributes(reply, sizeof(ifinfomsg), IFLA_MAX);
  NlAttributes info(attributes.Get(IFLA_LINKINFO), IFLA_INFO_MAX);
  Link link;
  link.index = header->ifi_index;
  link.name = attributes.String(IFLA_IFNAME).value_or("");
  link.kind = info.String(IFLA_INFO_KIND).value_or("");
  link.alias = attributes.String(IFLA_IFALIAS).value_or("");
  link.mac = ParseMac(attributes);
  link.mtu = attributes.U32(IFLA_MTU).value_or(0);
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.peer_index = static_cast<int>(attributes.U32(IFLA_LINK).value_or(0));
  return link;
}

std::optional<IpAddress> ParseAddress(const NlAttributes& attributes,
                                      int attribute) {
  std::optional<absl::string_view> bytes = attributes.Bytes(attribute);
  if (!bytes.has_value()) return std::nullopt;
  auto address = IpAddress::FromBytes(bytes->data(), bytes->size());
  if (!address.ok()) return std::nullopt;
  return *address;
}

std::optional<Address> ParseAddressMessage(const NlReply& reply) {
  const auto* header = reply.FamilyHeader<ifaddrmsg>();
  if (reply.type() != RTM_NEWADDR || header == nullptr) return std::nullopt;
  NlAttributes attributes(reply, sizeof(ifaddrmsg), IFA_MAX);
  // On point-to-point links IFA_ADDRESS is the far end; IPv6 without a peer
  // sends no IFA_LOCAL.
  std::optional<IpAddress> local = ParseAddress(attributes, IFA_LOCAL);
  if (!local.has_value()) local = ParseAddress(attributes, IFA_ADDRESS);
  if (!local.has_value()) return std::nullopt;
  uint32_t flags = attributes.U32(IFA_FLAGS).value_or(header->ifa_flags);
  Address address;
  address.index = static_cast<int>(header->ifa_index);
  address.prefix = {*local, header->ifa_prefixlen};
  address.no_prefix_route = (flags & IFA_F_NOPREFIXROUTE) != 0;
  address.no_dad = (flags & IFA_F_NODAD) != 0;
  return address;
}

std::optional<Route> ParseRoute(const NlReply& reply) {
  const auto* header = reply.FamilyHeader<rtmsg>();
  if (reply.type() != RTM_NEWROUTE || header == nullptr ||
      header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  NlAttributes attributes(reply, sizeof(rtmsg), RTA_MAX);
  NlAttributes metrics(attributes.Get(RTA_METRICS), RTAX_MAX);
  Route route;
  route.index = static_cast<int>(attributes.U32(RTA_OIF).value_or(0));
  const uint8_t zeros[16] = {};
  IpAddress any =
      *IpAddress::FromBytes(zeros, header->rtm_family == AF_INET6 ? 16 : 4);
  route.destination = {ParseAddress(attributes, RTA_DST).value_or(any),
                       header->rtm_dst_len};
  route.gateway = ParseAddress(attributes, RTA_GATEWAY);
  route.source = ParseAddress(attributes, RTA_PREFSRC);
  route.scope = header->rtm_scope;
  route.on_link = (header->rtm_flags & RTNH_F_ONLINK) != 0;
  route.table = attributes.U32(RTA_TABLE).value_or(header->rtm_table);
  route.priority = attributes.U32(RTA_PRIORITY).value_or(0);
  route.mtu = metrics.U32(RTAX_MTU).value_or(0);
  route.advmss = metrics.U32(RTAX_ADVMSS).value_or(0);
  return route;
}

void PutMetrics(const Route& route, NlMessage* message) {
  if (route.mtu == 0 && route.advmss == 0) return;
  NlMessage::Nest metrics(message, RTA_METRICS);
  if (route.mtu != 0) message->PutU32(RTAX_MTU, route.mtu);
  if (route.advmss != 0) message->PutU32(RTAX_ADVMSS, route.advmss);
}

NlMessage RouteMessage(const Route& route) {
  rtmsg header = {};
  header.rtm_family =
      static_cast<unsigned char>(route.destination.address.family());
  header.rtm_dst_len = static_cast<unsigned char>(route.destination.length);
  header.rtm_table = route.table < 256 ? static_cast<uint8_t>(route.table)
                                       : static_cast<uint8_t>(RT_TABLE_UNSPEC);
  header.rtm_protocol = RTPROT_BOOT;  // as ip(8) and Go's plugins say
  header.rtm_scope = route.scope;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = route.on_link ? RTNH_F_ONLINK : 0;
  NlMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, header);
  if (route.destination.length > 0) {
    IpAddress network = route.destination.Network().address;
    message.Put(RTA_DST, network.data(), network.size());
  }
  message.PutU32(RTA_TABLE, route.table);
  message.PutU32(RTA_OIF, static_cast<uint32_t>(route.index));
  if (route.gateway.has_value()) {
    message.Put(RTA_GATEWAY, route.gateway->data(), route.gateway->size());
  }
  if (route.source.has_value()) {
    message.Put(RTA_PREFSRC, route.source->data(), route.source->size());
  }
  if (route.priority != 0) message.PutU32(RTA_PRIORITY, route.priority);
  PutMetrics(route, &message);
  return message;
}

}  // namespace

absl::StatusOr<Netlink> Netlink::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_ROUTE));
  return Netlink(std::move(socket));
}

absl::StatusOr<Netlink> Netlink::OpenIn(int netns_fd) {
  std::optional<Netlink> opened;
  RETURN_IF_ERROR(RunInNetns(netns_fd, [&opened]() -> absl::Status {
    ASSIGN_OR_RETURN(opened, Open());
    return absl::OkStatus();
  }));
  return *std::move(opened);
}

absl::StatusOr<Link> Netlink::GetLink(const std::string& name) {
  NlMessage message(RTM_GETLINK, 0, LinkHeader());
  message.PutString(IFLA_IFNAME, name);
  message.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::string what = absl::StrFormat("RTM_GETLINK \"%s\"", name);
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, what));
  absl::StatusOr<Link> link = ParseLink(reply);
  if (!link.ok()) return Annotate(link.status(), what);
  return link;
}

absl::Status Netlink::AddVethPair(const VethPair& pair) {
  NlMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkHeader());
  message.PutString(IFLA_IFNAME, pair.name);
  if (pair.mtu != 0) message.PutU32(IFLA_MTU, pair.mtu);
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "veth");
    NlMessage::Nest data(&message, IFLA_INFO_DATA);
    NlMessage::Nest peer(&message, VETH_INFO_PEER);
    ifinfomsg peer_header = LinkHeader();
    message.Append(&peer_header, sizeof(peer_header));
    message.PutString(IFLA_IFNAME, pair.peer_name);
    message.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(pair.peer_netns_fd));
    if (pair.mtu != 0) message.PutU32(IFLA_MTU, pair.mtu);
    if (pair.peer_mac.has_value()) {
      message.Put(IFLA_ADDRESS, pair.peer_mac->bytes.data(),
                  pair.peer_mac->bytes.size());
    }
  }
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWLINK veth \"%s\" peer \"%s\" mtu %u",
                               pair.name, pair.peer_name, pair.mtu));
}

absl::Status Netlink::SetLinkUp(int index, bool up, absl::string_view alias) {
  ifinfomsg header = LinkHeader(index);
  header.ifi_flags = up ? IFF_UP : 0;
  header.ifi_change = IFF_UP;
  NlMessage message(RTM_NEWLINK, 0, header);
  if (!alias.empty()) message.Put(IFLA_IFALIAS, alias.data(), alias.size());
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWLINK %d %s", index, up ? "up" : "down"));
}

absl::Status Netlink::DeleteLink(const std::string& name) {
  NlMessage message(RTM_DELLINK, 0, LinkHeader());
  message.PutString(IFLA_IFNAME, name);
  return socket_.Execute(message, absl::StrFormat("RTM_DELLINK \"%s\"", name));
}

absl::Status Netlink::AddAddress(const Address& address) {
  const IpAddress& ip = address.prefix.address;
  ifaddrmsg header = {};
  header.ifa_family = static_cast<unsigned char>(ip.family());
  header.ifa_prefixlen = static_cast<unsigned char>(address.prefix.length);
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  header.ifa_index = static_cast<uint32_t>(address.index);
  NlMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  message.Put(IFA_LOCAL, ip.data(), ip.size());
  message.Put(IFA_ADDRESS, ip.data(), ip.size());
  uint32_t flags = (address.no_prefix_route ? IFA_F_NOPREFIXROUTE : 0) |
                   (address.no_dad ? IFA_F_NODAD : 0);
  message.PutU32(IFA_FLAGS, flags);
  if (!ip.is_v6() && address.prefix.length < 31) {
    IpAddress broadcast = ip.LastOf(address.prefix.length);
    message.Put(IFA_BROADCAST, broadcast.data(), broadcast.size());
  }
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWADDR %s dev %d",
                               address.prefix.ToString(), address.index));
}

absl::StatusOr<std::vector<Address>> Netlink::ListAddresses(int index) {
  ifaddrmsg header = {};
  header.ifa_index = static_cast<uint32_t>(index);
  NlMessage message(RTM_GETADDR, 0, header);
  std::vector<Address> addresses;
  RETURN_IF_ERROR(socket_.Dump(
      message, absl::StrFormat("RTM_GETADDR dev %d", index),
      [&](const NlReply& reply) {
        std::optional<Address> address = ParseAddressMessage(reply);
        // Kernels before 4.20 do not filter.
        if (address.has_value() && address->index == index) {
          addresses.push_back(*address);
        }
        return true;
      },
      [&] { addresses.clear(); }));
  return addresses;
}

absl::Status Netlink::AddRoute(const Route& route) {
  NlMessage message = RouteMessage(route);
  std::string what = absl::StrFormat("RTM_NEWROUTE %s dev %d",
                                     route.destination.ToString(), route.index);
  if (route.gateway.has_value()) {
    absl::StrAppend(&what, " via ", route.gateway->ToString());
  }
  return socket_.Execute(message, what);
}

absl::StatusOr<std::vector<Route>> Netlink::ListRoutes(int index, int family) {
  rtmsg header = {};
  header.rtm_family = static_cast<unsigned char>(family);
  NlMessage message(RTM_GETROUTE, 0, header);
  message.PutU32(RTA_OIF, static_cast<uint32_t>(index));
  std::vector<Route> routes;
  RETURN_IF_ERROR(socket_.Dump(
      message, absl::StrFormat("RTM_GETROUTE dev %d", index),
      [&](const NlReply& reply) {
        std::optional<Route> route = ParseRoute(reply);
        if (route.has_value() && route->index == index) {
          routes.push_back(*route);
        }
        return true;
      },
      [&] { routes.clear(); }));
  return routes;
}

absl::StatusOr<int> Netlink::LookUpRoute(const IpAddress& destination) {
  rtmsg header = {};
  header.rtm_family = static_cast<unsigned char>(destination.family());
  header.rtm_dst_len = static_cast<unsigned char>(destination.bits());
  NlMessage message(RTM_GETROUTE, 0, header);
  message.Put(RTA_DST, destination.data(), destination.size());
  std::string what = absl::StrFormat("RTM_GETROUTE %s", destination.ToString());
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, what));
  if (reply.type() != RTM_NEWROUTE || reply.FamilyHeader<rtmsg>() == nullptr) {
    return absl::InternalError(absl::StrCat(what, ": malformed reply"));
  }
  NlAttributes attributes(reply, sizeof(rtmsg), RTA_MAX);
  return static_cast<int>(attributes.U32(RTA_OIF).value_or(0));
}

}  // namespace davit
