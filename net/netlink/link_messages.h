#ifndef DAVIT_NET_NETLINK_LINK_MESSAGES_H_
#define DAVIT_NET_NETLINK_LINK_MESSAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/netlink/link.h"
#include "net/netlink/nl_message.h"

namespace davit {

// The rtnetlink messages about links (rtnetlink(7), linux/if_link.h,
// linux/if_bridge.h), of which Netlink makes its calls. Pure, so that what a
// kernel does not offer (VLAN filtering, say) can be tested without it.

NlMessage GetLinkMessage(const std::string& name);
NlMessage GetLinkMessage(int index);
NlMessage ListLinksMessage();  // as a dump
// Reads an RTM_NEWLINK. Internal if it is malformed.
absl::StatusOr<Link> ParseLink(const NlReply& reply);

NlMessage CreateVethMessage(const VethPair& pair);
NlMessage CreateBridgeMessage(const BridgeSpec& bridge);
NlMessage CreateMacvlanMessage(const MacvlanSpec& macvlan);
NlMessage ChangeLinkMessage(int index, const LinkChange& change);
NlMessage DeleteLinkMessage(const std::string& name);
NlMessage DeleteGroupMessage(uint32_t group);
// Adds a name by which the link can be found too (ip-link(8), "altname").
NlMessage AddAlternativeNameMessage(int index, absl::string_view name);

NlMessage BridgePortMessage(int index, const BridgePort& port);
// At most kMaxPortVlans entries fit.
inline constexpr size_t kMaxPortVlans = 200;
NlMessage AddPortVlansMessage(int index, absl::Span<const PortVlan> vlans);
NlMessage RemovePortVlansMessage(int index, absl::Span<const PortVlan> vlans);

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_LINK_MESSAGES_H_
