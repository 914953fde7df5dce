#include "net/netlink/netlink.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/in_netns.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

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
  address.tentative = (flags & IFA_F_TENTATIVE) != 0;
  address.duplicate = (flags & IFA_F_DADFAILED) != 0;
  return address;
}

std::optional<LinkRoute> ParseRoute(const NlReply& reply) {
  const auto* header = reply.FamilyHeader<rtmsg>();
  if (reply.type() != RTM_NEWROUTE || header == nullptr ||
      header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  NlAttributes attributes(reply, sizeof(rtmsg), RTA_MAX);
  NlAttributes metrics(attributes.Get(RTA_METRICS), RTAX_MAX);
  LinkRoute route;
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

void PutMetrics(const LinkRoute& route, NlMessage* message) {
  if (route.mtu == 0 && route.advmss == 0) return;
  NlMessage::Nest metrics(message, RTA_METRICS);
  if (route.mtu != 0) message->PutU32(RTAX_MTU, route.mtu);
  if (route.advmss != 0) message->PutU32(RTAX_ADVMSS, route.advmss);
}

NlMessage RouteMessage(const LinkRoute& route, int flags) {
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
  NlMessage message(RTM_NEWROUTE, flags, header);
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

absl::Status Netlink::DeleteAddress(int index, const IpPrefix& prefix) {
  ifaddrmsg header = {};
  header.ifa_family = static_cast<unsigned char>(prefix.address.family());
  header.ifa_prefixlen = static_cast<unsigned char>(prefix.length);
  header.ifa_index = static_cast<uint32_t>(index);
  NlMessage message(RTM_DELADDR, 0, header);
  message.Put(IFA_LOCAL, prefix.address.data(), prefix.address.size());
  absl::Status status = socket_.Execute(
      message,
      absl::StrFormat("RTM_DELADDR %s dev %d", prefix.ToString(), index));
  // What abseil makes of EADDRNOTAVAIL.
  if (absl::IsAlreadyExists(status)) {
    return absl::NotFoundError(status.message());
  }
  return status;
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

absl::Status Netlink::AddRoute(const LinkRoute& route) {
  return NewRoute(route, NLM_F_CREATE | NLM_F_EXCL);
}

absl::Status Netlink::AppendRoute(const LinkRoute& route) {
  return NewRoute(route, NLM_F_CREATE | NLM_F_APPEND);
}

absl::Status Netlink::NewRoute(const LinkRoute& route, int flags) {
  NlMessage message = RouteMessage(route, flags);
  std::string what = absl::StrFormat("RTM_NEWROUTE %s dev %d",
                                     route.destination.ToString(), route.index);
  if (route.gateway.has_value()) {
    absl::StrAppend(&what, " via ", route.gateway->ToString());
  }
  return socket_.Execute(message, what);
}

absl::StatusOr<std::vector<LinkRoute>> Netlink::ListRoutes(int index,
                                                           int family) {
  rtmsg header = {};
  header.rtm_family = static_cast<unsigned char>(family);
  NlMessage message(RTM_GETROUTE, 0, header);
  message.PutU32(RTA_OIF, static_cast<uint32_t>(index));
  std::vector<LinkRoute> routes;
  RETURN_IF_ERROR(socket_.Dump(
      message, absl::StrFormat("RTM_GETROUTE dev %d", index),
      [&](const NlReply& reply) {
        std::optional<LinkRoute> route = ParseRoute(reply);
        if (route.has_value() && route->index == index) {
          routes.push_back(*route);
        }
        return true;
      },
      [&] { routes.clear(); }));
  return routes;
}

absl::StatusOr<int> Netlink::FindDefaultRouteLink() {
  int index = 0;
  for (int family : {AF_INET, AF_INET6}) {
    rtmsg header = {};
    header.rtm_family = static_cast<unsigned char>(family);
    NlMessage message(RTM_GETROUTE, 0, header);
    message.PutU32(RTA_TABLE, RT_TABLE_MAIN);
    RETURN_IF_ERROR(socket_.Dump(
        message, "RTM_GETROUTE table main",
        [&](const NlReply& reply) {
          std::optional<LinkRoute> route = ParseRoute(reply);
          if (route.has_value() && route->table == RT_TABLE_MAIN &&
              route->destination.length == 0) {
            index = route->index;
          }
          return index == 0;
        },
        [&] { index = 0; }));
    if (index != 0) return index;
  }
  return absl::NotFoundError("no default route interface found");
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
