// The calls of Netlink that are about links.

#include <errno.h>
#include <sys/random.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/link_messages.h"
#include "net/netlink/netlink.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

std::string Describe(int index, const LinkChange& change) {
  std::string what = absl::StrFormat("RTM_NEWLINK %d", index);
  if (change.up.has_value())
    absl::StrAppend(&what, *change.up ? " up" : " down");
  if (change.promiscuous.has_value()) {
    absl::StrAppend(&what, " promisc ", *change.promiscuous ? "on" : "off");
  }
  if (change.all_multicast.has_value()) {
    absl::StrAppend(&what, " allmulti ", *change.all_multicast ? "on" : "off");
  }
  if (change.name.has_value()) {
    absl::StrAppend(&what, " name \"", *change.name, "\"");
  }
  if (change.mac.has_value()) {
    absl::StrAppend(&what, " address ", change.mac->ToString());
  }
  if (change.mtu.has_value()) absl::StrAppend(&what, " mtu ", *change.mtu);
  if (change.tx_queue_length.has_value()) {
    absl::StrAppend(&what, " txqlen ", *change.tx_queue_length);
  }
  if (change.group.has_value()) {
    absl::StrAppend(&what, " group ", *change.group);
  }
  return what;
}

// "1, 10-20"
std::string Describe(absl::Span<const PortVlan> vlans) {
  std::string text;
  for (const PortVlan& vlan : vlans) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", vlan.first);
    if (vlan.last != vlan.first) absl::StrAppend(&text, "-", vlan.last);
  }
  return text;
}

absl::StatusOr<uint32_t> RandomGroup() {
  uint32_t random;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
    return ErrnoError("getrandom(4)");
  }
  return 0x64000000 | (random & 0xffffff);
}

}  // namespace

absl::StatusOr<Link> Netlink::GetLink(NlMessage message,
                                      const std::string& what) {
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, what));
  absl::StatusOr<Link> link = ParseLink(reply);
  if (!link.ok()) return Annotate(link.status(), what);
  return link;
}

absl::StatusOr<Link> Netlink::GetLink(const std::string& name) {
  return GetLink(GetLinkMessage(name),
                 absl::StrFormat("RTM_GETLINK \"%s\"", name));
}

absl::StatusOr<Link> Netlink::GetLink(int index) {
  return GetLink(GetLinkMessage(index),
                 absl::StrFormat("RTM_GETLINK %d", index));
}

absl::StatusOr<std::vector<Link>> Netlink::ListLinks() {
  NlMessage message = ListLinksMessage();
  std::vector<Link> links;
  RETURN_IF_ERROR(socket_.Dump(
      message, "RTM_GETLINK dump",
      [&](const NlReply& reply) {
        absl::StatusOr<Link> link = ParseLink(reply);
        if (link.ok()) links.push_back(*std::move(link));
        return true;
      },
      [&] { links.clear(); }));
  return links;
}

absl::Status Netlink::AddVethPair(const VethPair& pair) {
  NlMessage message = CreateVethMessage(pair);
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWLINK veth \"%s\" peer \"%s\" mtu %u",
                               pair.name, pair.peer_name, pair.mtu));
}

absl::Status Netlink::AddBridge(const BridgeSpec& bridge) {
  NlMessage message = CreateBridgeMessage(bridge);
  return socket_.Execute(
      message,
      absl::StrFormat("RTM_NEWLINK bridge \"%s\" mtu %u%s", bridge.name,
                      bridge.mtu,
                      bridge.vlan_filtering ? " vlan_filtering 1" : ""));
}

absl::Status Netlink::AddMacvlan(const MacvlanSpec& macvlan) {
  NlMessage message = CreateMacvlanMessage(macvlan);
  return socket_.Execute(
      message,
      absl::StrFormat("RTM_NEWLINK macvlan \"%s\" link %d mtu %u", macvlan.name,
                      macvlan.master_index, macvlan.mtu));
}

absl::Status Netlink::ChangeLink(int index, const LinkChange& change) {
  NlMessage message = ChangeLinkMessage(index, change);
  return socket_.Execute(message, Describe(index, change));
}

absl::Status Netlink::SetLinkUp(int index, bool up, absl::string_view alias) {
  LinkChange change{.up = up};
  if (!alias.empty()) change.alias = std::string(alias);
  return ChangeLink(index, change);
}

absl::Status Netlink::AddAlternativeName(int index, const std::string& name) {
  NlMessage message = AddAlternativeNameMessage(index, name);
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWLINKPROP %d \"%s\"", index, name));
}

absl::Status Netlink::DeleteLink(const std::string& name) {
  NlMessage message = DeleteLinkMessage(name);
  return socket_.Execute(message, absl::StrFormat("RTM_DELLINK \"%s\"", name));
}

absl::Status Netlink::DeleteGroup(uint32_t group,
                                  absl::Span<const Link> links) {
  Rollback rollback;
  size_t members = 0;
  for (const Link& link : links) {
    rollback.Add("restore group", [this, link]() -> absl::Status {
      absl::Status status = ChangeLink(link.index, {.group = link.group});
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
    });
    absl::Status status = ChangeLink(link.index, {.group = group});
    if (absl::IsNotFound(status)) continue;  // gone meanwhile
    RETURN_IF_ERROR(status);
    ++members;
  }
  if (members > 0) {
    NlMessage message = DeleteGroupMessage(group);
    absl::Status status = socket_.Execute(
        message, absl::StrFormat("RTM_DELLINK group %u of %d links", group,
                                 links.size()));
    // All of them went meanwhile.
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status Netlink::DeleteLinks(absl::Span<const int> indexes) {
  std::vector<Link> links;
  for (int index : indexes) {
    absl::StatusOr<Link> link = GetLink(index);
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link);
    links.push_back(*std::move(link));
  }
  if (links.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(uint32_t group, RandomGroup());
  return DeleteGroup(group, links);
}

absl::Status Netlink::SetBridgePort(int index, const BridgePort& port) {
  NlMessage message = BridgePortMessage(index, port);
  return socket_.Execute(
      message,
      absl::StrFormat("RTM_SETLINK bridge port %d hairpin %d isolated %d",
                      index, port.hairpin, port.isolated));
}

absl::Status Netlink::AddPortVlans(int index,
                                   absl::Span<const PortVlan> vlans) {
  for (size_t i = 0; i < vlans.size(); i += kMaxPortVlans) {
    absl::Span<const PortVlan> some = vlans.subspan(i, kMaxPortVlans);
    NlMessage message = AddPortVlansMessage(index, some);
    RETURN_IF_ERROR(socket_.Execute(
        message, absl::StrFormat("RTM_SETLINK bridge port %d vlan %s", index,
                                 Describe(some))));
  }
  return absl::OkStatus();
}

absl::Status Netlink::RemovePortVlans(int index,
                                      absl::Span<const PortVlan> vlans) {
  for (size_t i = 0; i < vlans.size(); i += kMaxPortVlans) {
    absl::Span<const PortVlan> some = vlans.subspan(i, kMaxPortVlans);
    NlMessage message = RemovePortVlansMessage(index, some);
    RETURN_IF_ERROR(socket_.Execute(
        message, absl::StrFormat("RTM_DELLINK bridge port %d vlan %s", index,
                                 Describe(some))));
  }
  return absl::OkStatus();
}

}  // namespace davit
