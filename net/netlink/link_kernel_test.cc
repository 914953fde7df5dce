// Bridges, macvlans and many links at once, on the real kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/netlink/netlink.h"
#include "net/netlink/netns_fixture.h"
#include "net/netlink/wait_for_change.h"
#include "runtime/base/status_macros.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TestNetns;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LinkKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(node_, Netlink::OpenIn(node_netns_.fd()));
    ASSERT_OK_AND_ASSIGN(pod_, Netlink::OpenIn(pod_netns_.fd()));
  }
  Link MakeVeth(const std::string& name, int master = 0) {
    EXPECT_THAT(node_->AddVethPair({.name = name,
                                    .peer_name = "p" + name,
                                    .peer_netns_fd = pod_netns_.fd(),
                                    .master_index = master}),
                IsOk());
    return *node_->GetLink(name);
  }
  Link MakeBridge(const std::string& name) {
    EXPECT_THAT(node_->AddBridge({.name = name}), IsOk());
    return *node_->GetLink(name);
  }

  TestNetns node_netns_;
  TestNetns pod_netns_;
  std::optional<Netlink> node_;
  std::optional<Netlink> pod_;
};

TEST_F(LinkKernelTest, BridgeIsMadeOnceAndAsTold) {
  const MacAddress mac = *MacAddress::Parse("02:00:00:00:00:42");
  const BridgeSpec spec{.name = "br0", .mtu = 1400, .mac = mac};
  ASSERT_THAT(node_->AddBridge(spec), IsOk());
  ASSERT_OK_AND_ASSIGN(Link link, node_->GetLink("br0"));
  EXPECT_EQ(link.kind, "bridge");
  EXPECT_EQ(link.mtu, 1400u);
  EXPECT_EQ(link.mac, mac);
  ASSERT_TRUE(link.bridge.has_value());
  EXPECT_FALSE(link.bridge->vlan_filtering);
  EXPECT_EQ(link.port, std::nullopt);
  EXPECT_THAT(node_->AddBridge(spec),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("RTM_NEWLINK bridge \"br0\"")));
}

TEST_F(LinkKernelTest, AVethIsBornAsAPort) {
  const Link bridge = MakeBridge("br0");
  Link port = MakeVeth("v0", bridge.index);
  EXPECT_EQ(port.master_index, bridge.index);
  EXPECT_EQ(port.port, BridgePort());
  ASSERT_THAT(
      node_->SetBridgePort(port.index, {.hairpin = true, .isolated = true}),
      IsOk());
  EXPECT_EQ(node_->GetLink("v0")->port,
            (BridgePort{.hairpin = true, .isolated = true}));
  EXPECT_THAT(
      node_->SetBridgePort(bridge.index, {}),
      StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("bridge port")));
}

TEST_F(LinkKernelTest, PortVlans) {
  absl::Status made = node_->AddBridge({.name = "br0", .vlan_filtering = true});
  if (absl::IsUnimplemented(made)) {
    GTEST_SKIP() << "needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING: "
                 << made.message();
  }
  ASSERT_THAT(made, IsOk());
  const Link bridge = *node_->GetLink("br0");
  EXPECT_TRUE(bridge.bridge->vlan_filtering);
  EXPECT_EQ(bridge.bridge->default_pvid, 1);
  const Link port = MakeVeth("v0", bridge.index);
  EXPECT_THAT(node_->RemovePortVlans(port.index, {{.first = 1, .last = 1}}),
              IsOk());
  EXPECT_THAT(node_->AddPortVlans(port.index, {{.first = 10, .last = 20}}),
              IsOk());
}

TEST_F(LinkKernelTest, VlansOfALinkThatIsNoPortAreRefused) {
  const Link link = MakeVeth("v0");
  EXPECT_THAT(node_->AddPortVlans(link.index, {{.first = 2, .last = 4}}),
              StatusIs(absl::StatusCode::kUnimplemented,
                       AllOf(HasSubstr("RTM_SETLINK bridge port"),
                             HasSubstr("vlan 2-4"))));
}

TEST_F(LinkKernelTest, ChangesOfOneLink) {
  const Link link = MakeVeth("v0");
  const MacAddress mac = *MacAddress::Parse("02:00:00:00:00:43");
  ASSERT_THAT(node_->ChangeLink(
                  link.index,
                  {.promiscuous = true, .name = "v9", .mac = mac, .group = 5}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(Link changed, node_->GetLink(link.index));
  EXPECT_TRUE(changed.promiscuous);
  EXPECT_FALSE(changed.up);
  EXPECT_EQ(changed.name, "v9");
  EXPECT_EQ(changed.mac, mac);
  EXPECT_EQ(changed.group, 5u);
  EXPECT_THAT(node_->ChangeLink(9999, {.group = 1}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("RTM_NEWLINK 9999 group 1")));
}

TEST_F(LinkKernelTest, AlternativeNamesAreNames) {
  const Link link = MakeVeth("ve-web");
  ASSERT_THAT(node_->AddAlternativeName(link.index, "veth0123"), IsOk());
  ASSERT_OK_AND_ASSIGN(Link found, node_->GetLink("veth0123"));
  EXPECT_EQ(found.name, "ve-web");
  EXPECT_THAT(node_->DeleteLink("veth0123"), IsOk());
  EXPECT_THAT(node_->GetLink("ve-web"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("ve-web")));
}

TEST_F(LinkKernelTest, MacvlanIsBornInThePod) {
  const Link master = MakeVeth("v0");
  ASSERT_THAT(node_->AddMacvlan({.name = "mv0",
                                 .master_index = master.index,
                                 .netns_fd = pod_netns_.fd(),
                                 .mode = MacvlanMode::kPrivate,
                                 .mtu = 1300}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(Link link, pod_->GetLink("mv0"));
  EXPECT_EQ(link.kind, "macvlan");
  EXPECT_EQ(link.macvlan, MacvlanMode::kPrivate);
  EXPECT_EQ(link.mtu, 1300u);
  EXPECT_EQ(link.peer_index, master.index);
  EXPECT_THAT(node_->AddMacvlan({.name = "mv1", .master_index = 9999}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("macvlan \"mv1\" link 9999")));
}

TEST_F(LinkKernelTest, TheDefaultRoutesLink) {
  EXPECT_THAT(node_->FindDefaultRouteLink(),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("no default route interface found")));
  int last = 0;
  for (const char* destination : {"::/0", "10.0.0.0/8", "0.0.0.0/0"}) {
    const Link link = MakeVeth(absl::StrCat("v", last));
    ASSERT_THAT(node_->SetLinkUp(link.index, true), IsOk());
    LinkRoute route;
    route.index = last = link.index;
    route.destination = *IpPrefix::Parse(destination);
    route.scope = route.destination.address.is_v6() ? 0 : 253;
    ASSERT_THAT(node_->AddRoute(route), IsOk());
  }
  EXPECT_EQ(*node_->FindDefaultRouteLink(), last);
}

TEST_F(LinkKernelTest, ManyLinksAreDeletedAtThePriceOfOneAndOthersStay) {
  std::vector<int> doomed;
  for (int i = 0; i < 30; ++i) {
    doomed.push_back(MakeVeth(absl::StrCat("d", i)).index);
  }
  const Link other = MakeVeth("other");
  ASSERT_THAT(node_->ChangeLink(other.index, {.group = 7}), IsOk());
  const Link bridge = MakeBridge("br0");
  doomed.push_back(9999);  // gone long ago

  const absl::Time begin = absl::Now();
  ASSERT_THAT(node_->DeleteLinks(doomed), IsOk());
  const absl::Duration all = absl::Now() - begin;
  for (int index : doomed) {
    EXPECT_THAT(node_->GetLink(index), StatusIs(absl::StatusCode::kNotFound,
                                                HasSubstr("RTM_GETLINK")));
  }
  EXPECT_EQ(node_->GetLink("other")->group, 7u);
  EXPECT_EQ(node_->GetLink("br0")->index, bridge.index);
  RecordProperty("delete_30_ms", absl::ToInt64Milliseconds(all));
  EXPECT_THAT(node_->DeleteLinks(doomed), IsOk());
  EXPECT_THAT(node_->DeleteLinks({}), IsOk());
}

TEST_F(LinkKernelTest, AfterAnErrorTheGroupsAreAsBefore) {
  const Link veth = MakeVeth("v0");
  ASSERT_THAT(node_->ChangeLink(veth.index, {.group = 7}), IsOk());
  // lo cannot be deleted, so its group cannot.
  const Link lo = *node_->GetLink("lo");
  EXPECT_THAT(
      node_->DeleteLinks({veth.index, lo.index}),
      StatusIs(absl::StatusCode::kUnimplemented,
               AllOf(HasSubstr("RTM_DELLINK group"), HasSubstr("of 2 links"))));
  EXPECT_EQ(node_->GetLink("v0")->group, 7u);
  EXPECT_EQ(node_->GetLink("lo")->group, 0u);
}

TEST_F(LinkKernelTest, AddressesCanGo) {
  const Link link = MakeVeth("v0");
  for (const char* text : {"10.0.0.1/24", "fd00::1/64"}) {
    const IpPrefix prefix = *IpPrefix::Parse(text);
    ASSERT_THAT(node_->AddAddress({.index = link.index, .prefix = prefix}),
                IsOk());
    EXPECT_THAT(node_->DeleteAddress(link.index, prefix), IsOk());
    EXPECT_THAT(
        node_->DeleteAddress(link.index, prefix),
        StatusIs(absl::StatusCode::kNotFound,
                 HasSubstr(absl::StrCat("RTM_DELADDR ", text, " dev"))));
  }
}

TEST_F(LinkKernelTest, DadIsReported) {
  const Link link = MakeVeth("v0");
  ASSERT_THAT(node_->SetLinkUp(link.index, true), IsOk());
  ASSERT_THAT(pod_->SetLinkUp(pod_->GetLink("pv0")->index, true), IsOk());
  const IpPrefix prefix = *IpPrefix::Parse("fd00::1/64");
  ASSERT_THAT(node_->AddAddress({.index = link.index, .prefix = prefix}),
              IsOk());
  auto state = [&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(auto addresses, node_->ListAddresses(link.index));
    for (const Address& address : addresses) {
      if (address.prefix == prefix) return !address.tentative;
    }
    return absl::NotFoundError("address");
  };
  EXPECT_FALSE(*state());
  EXPECT_THAT(WaitForChange(node_netns_.fd(), RTMGRP_IPV6_IFADDR,
                            absl::Seconds(10), state),
              IsOk());
}

TEST(WaitForChangeTest, EndsAtTheDeadline) {
  TestNetns netns;
  const absl::Time begin = absl::Now();
  EXPECT_THAT(WaitForChange(netns.fd(), RTMGRP_LINK, absl::Milliseconds(50),
                            [] { return false; }),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("wait for 50ms: timed out")));
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(50));
}

TEST(WaitForChangeTest, EndsWithTheQuestionsError) {
  EXPECT_THAT(WaitForChange(-1, RTMGRP_LINK, absl::Seconds(5),
                            []() -> absl::StatusOr<bool> {
                              return absl::DataLossError("x");
                            }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("x")));
}

TEST(WaitForChangeTest, WakesUpAtAChange) {
  TestNetns netns;
  Netlink node = *Netlink::OpenIn(netns.fd());
  int asked = 0;
  std::thread changer;
  auto is_there = [&]() -> absl::StatusOr<bool> {
    // Changes only when the waiter listens.
    if (++asked == 2) {
      changer = std::thread([&netns] {
        Netlink other = *Netlink::OpenIn(netns.fd());
        EXPECT_THAT(other.AddBridge({.name = "br0"}), IsOk());
      });
    }
    return node.GetLink("br0").ok();
  };
  EXPECT_THAT(
      WaitForChange(netns.fd(), RTMGRP_LINK, absl::Seconds(10), is_there),
      IsOk());
  changer.join();
  EXPECT_GE(asked, 3);
}

}  // namespace
}  // namespace davit
