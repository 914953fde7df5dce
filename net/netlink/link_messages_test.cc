// The messages, attribute by attribute: what this machine's kernel may lack
// (VLAN filtering) is seen here only.

#include "net/netlink/link_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A message read back, with its attributes.
struct Decoded {
  explicit Decoded(const NlMessage& message)
      : reply(message.header()), attributes(reply, sizeof(ifinfomsg), 64) {}
  const ifinfomsg& header() const { return *reply.FamilyHeader<ifinfomsg>(); }

  NlReply reply;
  NlAttributes attributes;
};

struct Vlan {
  int vid;
  int flags;
  bool operator==(const Vlan&) const = default;
};
void PrintTo(const Vlan& vlan, std::ostream* out) {
  *out << "vid " << vlan.vid << " flags " << vlan.flags;
}

std::vector<Vlan> VlansOf(const Decoded& message) {
  std::vector<Vlan> vlans;
  for (const nlattr* child : message.attributes.Children(IFLA_AF_SPEC)) {
    if (child->nla_type != IFLA_BRIDGE_VLAN_INFO) continue;
    bridge_vlan_info info;
    EXPECT_EQ(child->nla_len, sizeof(nlattr) + sizeof(info));
    memcpy(&info, child + 1, sizeof(info));
    vlans.push_back({info.vid, info.flags});
  }
  return vlans;
}

TEST(LinkMessagesTest, AccessPortVlan) {
  const PortVlan access{.first = 7, .last = 7, .pvid = true, .untagged = true};
  Decoded message(AddPortVlansMessage(42, {access}));
  EXPECT_EQ(message.reply.type(), RTM_SETLINK);
  EXPECT_EQ(message.header().ifi_family, AF_BRIDGE);
  EXPECT_EQ(message.header().ifi_index, 42);
  EXPECT_THAT(
      VlansOf(message),
      ElementsAre(Vlan{7, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED}));
  // To the bridge, not to the device itself.
  NlAttributes spec(message.attributes.Get(IFLA_AF_SPEC), IFLA_BRIDGE_MAX);
  const uint16_t to_bridge = BRIDGE_FLAGS_MASTER;
  EXPECT_EQ(spec.Bytes(IFLA_BRIDGE_FLAGS),
            absl::string_view(reinterpret_cast<const char*>(&to_bridge), 2));
}

TEST(LinkMessagesTest, TrunkVlansAreRanges) {
  Decoded message(AddPortVlansMessage(
      3, {PortVlan{.first = 10, .last = 20}, PortVlan{.first = 99, .last = 99},
          PortVlan{.first = 1, .last = 1, .pvid = true, .untagged = true}}));
  EXPECT_THAT(
      VlansOf(message),
      ElementsAre(Vlan{10, BRIDGE_VLAN_INFO_RANGE_BEGIN},
                  Vlan{20, BRIDGE_VLAN_INFO_RANGE_END}, Vlan{99, 0},
                  Vlan{1, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED}));
}

TEST(LinkMessagesTest, RemovingVlansIsADelLink) {
  Decoded message(RemovePortVlansMessage(5, {PortVlan{.first = 1, .last = 1}}));
  EXPECT_EQ(message.reply.type(), RTM_DELLINK);
  EXPECT_EQ(message.header().ifi_family, AF_BRIDGE);
  EXPECT_THAT(VlansOf(message), ElementsAre(Vlan{1, 0}));
}

TEST(LinkMessagesTest, AsManyVlansFitAsPromised) {
  std::vector<PortVlan> vlans;
  for (size_t i = 0; i < kMaxPortVlans; ++i) {
    uint16_t vid = static_cast<uint16_t>(1 + 3 * i);
    vlans.push_back({.first = vid, .last = static_cast<uint16_t>(vid + 1)});
  }
  NlMessage message = AddPortVlansMessage(1, vlans);
  EXPECT_FALSE(message.overflow());
  EXPECT_EQ(VlansOf(Decoded(message)).size(), 2 * kMaxPortVlans);
}

TEST(LinkMessagesTest, VlanFilteringOnlyIfAskedFor) {
  for (bool filtering : {false, true}) {
    Decoded message(CreateBridgeMessage(
        {.name = "br0", .mtu = 1400, .vlan_filtering = filtering}));
    EXPECT_EQ(message.reply.type(), RTM_NEWLINK);
    EXPECT_EQ(message.reply.header()->nlmsg_flags,
              NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
    EXPECT_EQ(message.attributes.String(IFLA_IFNAME), "br0");
    EXPECT_EQ(message.attributes.U32(IFLA_MTU), 1400u);
    EXPECT_EQ(message.attributes.Get(IFLA_ADDRESS), nullptr);
    NlAttributes info(message.attributes.Get(IFLA_LINKINFO), IFLA_INFO_MAX);
    EXPECT_EQ(info.String(IFLA_INFO_KIND), "bridge");
    NlAttributes data(info.Get(IFLA_INFO_DATA), IFLA_BR_MAX);
    if (filtering) {
      EXPECT_EQ(data.Bytes(IFLA_BR_VLAN_FILTERING), "\1");
    } else {
      EXPECT_EQ(info.Get(IFLA_INFO_DATA), nullptr);
    }
  }
}

TEST(LinkMessagesTest, PortSettingsAreANest) {
  Decoded message(BridgePortMessage(9, {.hairpin = true, .isolated = false}));
  EXPECT_EQ(message.reply.type(), RTM_SETLINK);
  EXPECT_EQ(message.header().ifi_family, AF_BRIDGE);
  const nlattr* nest = message.attributes.Get(IFLA_PROTINFO);
  ASSERT_NE(nest, nullptr);
  EXPECT_NE(nest->nla_type & NLA_F_NESTED, 0);
  NlAttributes settings(nest, IFLA_BRPORT_MAX);
  EXPECT_EQ(settings.Bytes(IFLA_BRPORT_MODE), "\1");
  EXPECT_EQ(settings.Bytes(IFLA_BRPORT_ISOLATED), absl::string_view("\0", 1));
}

TEST(LinkMessagesTest, MacvlanHasItsQueue) {
  Decoded message(CreateMacvlanMessage({.name = "mv0",
                                        .master_index = 2,
                                        .netns_fd = 11,
                                        .mode = MacvlanMode::kPassthru,
                                        .broadcast_queue = 500}));
  EXPECT_EQ(message.attributes.U32(IFLA_LINK), 2u);
  EXPECT_EQ(message.attributes.U32(IFLA_NET_NS_FD), 11u);
  NlAttributes info(message.attributes.Get(IFLA_LINKINFO), IFLA_INFO_MAX);
  EXPECT_EQ(info.String(IFLA_INFO_KIND), "macvlan");
  NlAttributes data(info.Get(IFLA_INFO_DATA), IFLA_MACVLAN_MAX);
  EXPECT_EQ(data.U32(IFLA_MACVLAN_MODE), 8u);
  EXPECT_EQ(data.U32(IFLA_MACVLAN_BC_QUEUE_LEN), 500u);
}

TEST(LinkMessagesTest, OnlyWhatIsNamedChanges) {
  Decoded nothing(ChangeLinkMessage(4, {}));
  EXPECT_EQ(nothing.header().ifi_change, 0u);
  EXPECT_EQ(nothing.attributes.Get(IFLA_IFALIAS), nullptr);
  EXPECT_EQ(nothing.attributes.Get(IFLA_GROUP), nullptr);
  Decoded some(
      ChangeLinkMessage(4, {.up = false, .promiscuous = true, .group = 0}));
  EXPECT_EQ(some.header().ifi_change,
            static_cast<unsigned>(IFF_UP | IFF_PROMISC));
  EXPECT_EQ(some.header().ifi_flags, static_cast<unsigned>(IFF_PROMISC));
  EXPECT_EQ(some.attributes.U32(IFLA_GROUP), 0u);
}

TEST(LinkMessagesTest, ReadsABridgeAndItsPort) {
  ifinfomsg header = {};
  header.ifi_index = 6;
  header.ifi_flags = IFF_UP | IFF_PROMISC;
  NlMessage message(RTM_NEWLINK, 0, header);
  message.PutString(IFLA_IFNAME, "br0");
  message.PutU8(IFLA_OPERSTATE, 6);
  message.PutU32(IFLA_GROUP, 12);
  message.PutU32(IFLA_MASTER, 3);
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "bridge");
    {
      NlMessage::Nest data(&message, IFLA_INFO_DATA);
      const uint16_t pvid = 258;
      message.PutU8(IFLA_BR_VLAN_FILTERING, 1);
      message.Put(IFLA_BR_VLAN_DEFAULT_PVID, &pvid, sizeof(pvid));
    }
    message.PutString(IFLA_INFO_SLAVE_KIND, "bridge");
    NlMessage::Nest data(&message, IFLA_INFO_SLAVE_DATA);
    message.PutU8(IFLA_BRPORT_MODE, 0);
    message.PutU8(IFLA_BRPORT_ISOLATED, 1);
  }
  ASSERT_OK_AND_ASSIGN(Link link, ParseLink(NlReply(message.header())));
  Link expected;
  expected.index = 6;
  expected.name = "br0";
  expected.kind = "bridge";
  expected.up = expected.operational = expected.promiscuous = true;
  expected.group = 12;
  expected.master_index = 3;
  expected.bridge = {.vlan_filtering = true, .default_pvid = 258};
  expected.port = {.hairpin = false, .isolated = true};
  EXPECT_EQ(link, expected);
}

TEST(LinkMessagesTest, RefusesOtherMessages) {
  EXPECT_THAT(ParseLink(NlReply(GetLinkMessage(1).header())),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("malformed RTM_NEWLINK")));
}

}  // namespace
}  // namespace davit
