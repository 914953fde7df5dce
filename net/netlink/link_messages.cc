#include "net/netlink/link_messages.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

namespace davit {
namespace {

static_assert(static_cast<int>(MacvlanMode::kPrivate) == MACVLAN_MODE_PRIVATE &&
              static_cast<int>(MacvlanMode::kVepa) == MACVLAN_MODE_VEPA &&
              static_cast<int>(MacvlanMode::kBridge) == MACVLAN_MODE_BRIDGE &&
              static_cast<int>(MacvlanMode::kPassthru) ==
                  MACVLAN_MODE_PASSTHRU);

ifinfomsg LinkHeader(int index = 0, int family = AF_UNSPEC) {
  ifinfomsg header = {};
  header.ifi_family = static_cast<unsigned char>(family);
  header.ifi_index = index;
  return header;
}

NlMessage CreateMessage() {
  return NlMessage(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkHeader());
}

void PutMac(const std::optional<MacAddress>& mac, NlMessage* message) {
  if (!mac.has_value()) return;
  message->Put(IFLA_ADDRESS, mac->bytes.data(), mac->bytes.size());
}

void PutMtu(uint32_t mtu, NlMessage* message) {
  if (mtu != 0) message->PutU32(IFLA_MTU, mtu);
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

bool IsSet(const NlAttributes& attributes, int attribute) {
  absl::string_view bytes = attributes.Bytes(attribute).value_or("");
  return !bytes.empty() && bytes[0] != 0;
}

BridgeState ParseBridgeState(const NlAttributes& info) {
  NlAttributes data(info.Get(IFLA_INFO_DATA), IFLA_BR_MAX);
  BridgeState state;
  state.vlan_filtering = IsSet(data, IFLA_BR_VLAN_FILTERING);
  absl::string_view pvid = data.Bytes(IFLA_BR_VLAN_DEFAULT_PVID).value_or("");
  if (pvid.size() == sizeof(state.default_pvid)) {
    memcpy(&state.default_pvid, pvid.data(), pvid.size());
  }
  return state;
}

// What depends on the kinds of the link and of its master.
void ParseLinkInfo(const NlAttributes& info, Link* link) {
  link->kind = info.String(IFLA_INFO_KIND).value_or("");
  if (link->kind == "bridge") link->bridge = ParseBridgeState(info);
  if (link->kind == "macvlan") {
    NlAttributes data(info.Get(IFLA_INFO_DATA), IFLA_MACVLAN_MAX);
    link->macvlan =
        static_cast<MacvlanMode>(data.U32(IFLA_MACVLAN_MODE).value_or(0));
  }
  if (info.String(IFLA_INFO_SLAVE_KIND).value_or("") == "bridge") {
    NlAttributes data(info.Get(IFLA_INFO_SLAVE_DATA), IFLA_BRPORT_MAX);
    link->port = {.hairpin = IsSet(data, IFLA_BRPORT_MODE),
                  .isolated = IsSet(data, IFLA_BRPORT_ISOLATED)};
  }
}

void PutVlan(uint16_t vid, int flags, NlMessage* message) {
  bridge_vlan_info info = {};
  info.vid = vid;
  info.flags = static_cast<uint16_t>(flags);
  message->Put(IFLA_BRIDGE_VLAN_INFO, &info, sizeof(info));
}

NlMessage PortVlansMessage(int type, int index,
                           absl::Span<const PortVlan> vlans) {
  NlMessage message(type, 0, LinkHeader(index, AF_BRIDGE));
  {
    NlMessage::Nest spec(&message, IFLA_AF_SPEC);
    const uint16_t to_bridge = BRIDGE_FLAGS_MASTER;
    message.Put(IFLA_BRIDGE_FLAGS, &to_bridge, sizeof(to_bridge));
    for (const PortVlan& vlan : vlans) {
      const int flags = (vlan.pvid ? BRIDGE_VLAN_INFO_PVID : 0) |
                        (vlan.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0);
      if (vlan.first == vlan.last) {
        PutVlan(vlan.first, flags, &message);
      } else {
        PutVlan(vlan.first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN, &message);
        PutVlan(vlan.last, flags | BRIDGE_VLAN_INFO_RANGE_END, &message);
      }
    }
  }
  return message;
}

}  // namespace

NlMessage GetLinkMessage(const std::string& name) {
  NlMessage message(RTM_GETLINK, 0, LinkHeader());
  message.PutString(IFLA_IFNAME, name);
  message.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

NlMessage GetLinkMessage(int index) {
  NlMessage message(RTM_GETLINK, 0, LinkHeader(index));
  message.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

NlMessage ListLinksMessage() {
  NlMessage message(RTM_GETLINK, NLM_F_DUMP, LinkHeader());
  message.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

absl::StatusOr<Link> ParseLink(const NlReply& reply) {
  const auto* header = reply.FamilyHeader<ifinfomsg>();
  if (reply.type() != RTM_NEWLINK || header == nullptr) {
    return absl::InternalError("malformed RTM_NEWLINK");
  }
  NlAttributes attributes(reply, sizeof(ifinfomsg), IFLA_MAX);
  Link link;
  link.index = header->ifi_index;
  link.name = attributes.String(IFLA_IFNAME).value_or("");
  link.alias = attributes.String(IFLA_IFALIAS).value_or("");
  link.mac = ParseMac(attributes);
  link.mtu = attributes.U32(IFLA_MTU).value_or(0);
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.promiscuous = (header->ifi_flags & IFF_PROMISC) != 0;
  link.all_multicast = (header->ifi_flags & IFF_ALLMULTI) != 0;
  link.tx_queue_length = attributes.U32(IFLA_TXQLEN).value_or(0);
  constexpr char kOperational = 6;  // IF_OPER_UP, an enumerator of linux/if.h
  link.operational =
      attributes.Bytes(IFLA_OPERSTATE) == absl::string_view(&kOperational, 1);
  link.peer_index = static_cast<int>(attributes.U32(IFLA_LINK).value_or(0));
  link.master_index = static_cast<int>(attributes.U32(IFLA_MASTER).value_or(0));
  link.group = attributes.U32(IFLA_GROUP).value_or(0);
  ParseLinkInfo(NlAttributes(attributes.Get(IFLA_LINKINFO), IFLA_INFO_MAX),
                &link);
  return link;
}

NlMessage CreateVethMessage(const VethPair& pair) {
  NlMessage message = CreateMessage();
  message.PutString(IFLA_IFNAME, pair.name);
  PutMtu(pair.mtu, &message);
  if (pair.master_index != 0) {
    message.PutU32(IFLA_MASTER, static_cast<uint32_t>(pair.master_index));
  }
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "veth");
    NlMessage::Nest data(&message, IFLA_INFO_DATA);
    NlMessage::Nest peer(&message, VETH_INFO_PEER);
    ifinfomsg peer_header = LinkHeader();
    message.Append(&peer_header, sizeof(peer_header));
    message.PutString(IFLA_IFNAME, pair.peer_name);
    if (pair.peer_netns_fd >= 0) {
      message.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(pair.peer_netns_fd));
    }
    PutMtu(pair.mtu, &message);
    PutMac(pair.peer_mac, &message);
  }
  return message;
}

NlMessage CreateBridgeMessage(const BridgeSpec& bridge) {
  NlMessage message = CreateMessage();
  message.PutString(IFLA_IFNAME, bridge.name);
  PutMtu(bridge.mtu, &message);
  PutMac(bridge.mac, &message);
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "bridge");
    if (bridge.vlan_filtering) {
      NlMessage::Nest data(&message, IFLA_INFO_DATA);
      message.PutU8(IFLA_BR_VLAN_FILTERING, 1);
    }
  }
  return message;
}

NlMessage CreateMacvlanMessage(const MacvlanSpec& macvlan) {
  NlMessage message = CreateMessage();
  message.PutString(IFLA_IFNAME, macvlan.name);
  message.PutU32(IFLA_LINK, static_cast<uint32_t>(macvlan.master_index));
  if (macvlan.netns_fd >= 0) {
    message.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(macvlan.netns_fd));
  }
  PutMtu(macvlan.mtu, &message);
  PutMac(macvlan.mac, &message);
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "macvlan");
    NlMessage::Nest data(&message, IFLA_INFO_DATA);
    message.PutU32(IFLA_MACVLAN_MODE, static_cast<uint32_t>(macvlan.mode));
    if (macvlan.broadcast_queue != 0) {
      message.PutU32(IFLA_MACVLAN_BC_QUEUE_LEN, macvlan.broadcast_queue);
    }
  }
  return message;
}

NlMessage ChangeLinkMessage(int index, const LinkChange& change) {
  ifinfomsg header = LinkHeader(index);
  auto set_flag = [&header](const std::optional<bool>& value, unsigned flag) {
    if (!value.has_value()) return;
    header.ifi_change |= flag;
    if (*value) header.ifi_flags |= flag;
  };
  set_flag(change.up, IFF_UP);
  set_flag(change.promiscuous, IFF_PROMISC);
  set_flag(change.all_multicast, IFF_ALLMULTI);
  NlMessage message(RTM_NEWLINK, 0, header);
  if (change.name.has_value()) message.PutString(IFLA_IFNAME, *change.name);
  if (change.alias.has_value()) {
    message.Put(IFLA_IFALIAS, change.alias->data(), change.alias->size());
  }
  PutMac(change.mac, &message);
  if (change.mtu.has_value()) message.PutU32(IFLA_MTU, *change.mtu);
  if (change.tx_queue_length.has_value()) {
    message.PutU32(IFLA_TXQLEN, *change.tx_queue_length);
  }
  if (change.group.has_value()) message.PutU32(IFLA_GROUP, *change.group);
  return message;
}

NlMessage DeleteLinkMessage(const std::string& name) {
  NlMessage message(RTM_DELLINK, 0, LinkHeader());
  message.PutString(IFLA_IFNAME, name);
  return message;
}

NlMessage DeleteGroupMessage(uint32_t group) {
  NlMessage message(RTM_DELLINK, 0, LinkHeader());
  message.PutU32(IFLA_GROUP, group);
  return message;
}

NlMessage AddAlternativeNameMessage(int index, absl::string_view name) {
  NlMessage message(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND,
                    LinkHeader(index));
  {
    NlMessage::Nest list(&message, IFLA_PROP_LIST);
    message.PutString(IFLA_ALT_IFNAME, name);
  }
  return message;
}

NlMessage BridgePortMessage(int index, const BridgePort& port) {
  NlMessage message(RTM_SETLINK, 0, LinkHeader(index, AF_BRIDGE));
  {
    // The kernel takes the settings for one number, the port's state, unless
    // the attribute is marked as a nest.
    NlMessage::Nest settings(&message, IFLA_PROTINFO | NLA_F_NESTED);
    message.PutU8(IFLA_BRPORT_MODE, port.hairpin ? 1 : 0);
    message.PutU8(IFLA_BRPORT_ISOLATED, port.isolated ? 1 : 0);
  }
  return message;
}

NlMessage AddPortVlansMessage(int index, absl::Span<const PortVlan> vlans) {
  return PortVlansMessage(RTM_SETLINK, index, vlans);
}

NlMessage RemovePortVlansMessage(int index, absl::Span<const PortVlan> vlans) {
  return PortVlansMessage(RTM_DELLINK, index, vlans);
}

}  // namespace davit
