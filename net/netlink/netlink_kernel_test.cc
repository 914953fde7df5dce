#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "net/netlink/netlink.h"
#include "net/netlink/netns_fixture.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TestNetns;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

IpPrefix Prefix(absl::string_view text) { return *IpPrefix::Parse(text); }
IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

class NetlinkKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(node_, Netlink::OpenIn(node_netns_.fd()));
    ASSERT_OK_AND_ASSIGN(pod_, Netlink::OpenIn(pod_netns_.fd()));
  }

  VethPair Pair() {
    VethPair pair;
    pair.name = "veth0";
    pair.peer_name = "eth0";
    pair.peer_netns_fd = pod_netns_.fd();
    return pair;
  }

  // Creates the pair, both ends up; returns the pod's end.
  Link MakePair() {
    EXPECT_THAT(node_->AddVethPair(Pair()), IsOk());
    EXPECT_THAT(node_->SetLinkUp(node_->GetLink("veth0")->index, true), IsOk());
    EXPECT_THAT(pod_->SetLinkUp(pod_->GetLink("eth0")->index, true), IsOk());
    return *pod_->GetLink("eth0");
  }

  TestNetns node_netns_;
  TestNetns pod_netns_;
  std::optional<Netlink> node_;
  std::optional<Netlink> pod_;
};

TEST_F(NetlinkKernelTest, VethIsBornInBothNamespacesUnderItsNames) {
  VethPair pair = Pair();
  pair.mtu = 1400;
  pair.peer_mac = *MacAddress::Parse("02:00:00:00:00:07");
  ASSERT_THAT(node_->AddVethPair(pair), IsOk());

  ASSERT_OK_AND_ASSIGN(Link host, node_->GetLink("veth0"));
  ASSERT_OK_AND_ASSIGN(Link peer, pod_->GetLink("eth0"));
  EXPECT_EQ(host.kind, "veth");
  EXPECT_EQ(peer.kind, "veth");
  EXPECT_EQ(host.mtu, 1400u);
  EXPECT_EQ(peer.mtu, 1400u);
  EXPECT_EQ(peer.mac, pair.peer_mac);
  EXPECT_EQ(host.peer_index, peer.index);
  EXPECT_EQ(peer.peer_index, host.index);
  EXPECT_FALSE(host.up);
  EXPECT_THAT(pod_->GetLink("veth0"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(NetlinkKernelTest, TakenNamesAreRefusedAndNothingIsLeft) {
  ASSERT_THAT(node_->AddVethPair(Pair()), IsOk());
  VethPair same_peer = Pair();
  same_peer.name = "veth1";
  EXPECT_THAT(node_->AddVethPair(same_peer),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("\"veth1\" peer \"eth0\"")));
  EXPECT_THAT(node_->GetLink("veth1"), StatusIs(absl::StatusCode::kNotFound));
  VethPair same_name = Pair();
  same_name.peer_name = "eth1";
  EXPECT_THAT(node_->AddVethPair(same_name),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(pod_->GetLink("eth1"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(NetlinkKernelTest, ErrorsCarryTheArguments) {
  VethPair pair = Pair();
  pair.mtu = 10;
  EXPECT_THAT(node_->AddVethPair(pair),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("veth \"veth0\" peer \"eth0\" mtu 10: "
                                 "Invalid argument")));
}

TEST_F(NetlinkKernelTest, UpDownAndAlias) {
  ASSERT_THAT(node_->AddVethPair(Pair()), IsOk());
  int index = node_->GetLink("veth0")->index;
  ASSERT_THAT(node_->SetLinkUp(index, true, "pod-1 eth0"), IsOk());
  EXPECT_TRUE(node_->GetLink("veth0")->up);
  EXPECT_EQ(node_->GetLink("veth0")->alias, "pod-1 eth0");
  ASSERT_THAT(node_->SetLinkUp(index, false), IsOk());
  EXPECT_FALSE(node_->GetLink("veth0")->up);
  EXPECT_EQ(node_->GetLink("veth0")->alias, "pod-1 eth0");
  EXPECT_THAT(node_->SetLinkUp(9999, true),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("9999")));
}

TEST_F(NetlinkKernelTest, DeletingOneEndDeletesBoth) {
  ASSERT_THAT(node_->AddVethPair(Pair()), IsOk());
  ASSERT_THAT(pod_->DeleteLink("eth0"), IsOk());
  EXPECT_THAT(node_->GetLink("veth0"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(pod_->DeleteLink("eth0"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("eth0")));
}

TEST_F(NetlinkKernelTest, AddressesWithoutPrefixRoute) {
  Link link = MakePair();
  Address v4{link.index, Prefix("172.16.28.2/24"), true, false};
  Address v6{link.index, Prefix("fd00::2/64"), true, true};
  ASSERT_THAT(pod_->AddAddress(v4), IsOk());
  ASSERT_THAT(pod_->AddAddress(v6), IsOk());
  EXPECT_THAT(pod_->AddAddress(v4),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("RTM_NEWADDR 172.16.28.2/24")));

  ASSERT_OK_AND_ASSIGN(auto addresses, pod_->ListAddresses(link.index));
  EXPECT_THAT(addresses, Contains(v4));
  EXPECT_THAT(addresses, Contains(v6));
  ASSERT_OK_AND_ASSIGN(auto routes, pod_->ListRoutes(link.index, AF_INET));
  EXPECT_THAT(routes, SizeIs(0));
}

TEST_F(NetlinkKernelTest, RoutesKeepAllTheirFields) {
  Link link = MakePair();
  ASSERT_THAT(pod_->AddAddress({link.index, Prefix("172.16.28.2/24"), true}),
              IsOk());
  LinkRoute gateway;
  gateway.index = link.index;
  gateway.destination = Prefix("172.16.28.1/32");
  gateway.source = Ip("172.16.28.2");
  gateway.scope = static_cast<uint8_t>(LinkRoute::Scope::kLink);
  ASSERT_THAT(pod_->AddRoute(gateway), IsOk());
  LinkRoute fallback;
  fallback.index = link.index;
  fallback.destination = Prefix("0.0.0.0/0");
  fallback.gateway = Ip("172.16.28.1");
  fallback.priority = 7;
  fallback.table = 1000;
  fallback.mtu = 1300;
  fallback.advmss = 1200;
  ASSERT_THAT(pod_->AddRoute(fallback), IsOk());
  LinkRoute odd;
  odd.index = link.index;
  odd.destination = Prefix("10.0.0.0/8");
  odd.gateway = Ip("192.168.77.1");
  EXPECT_THAT(
      pod_->AddRoute(odd),
      StatusIs(absl::StatusCode::kUnavailable,
               AllOf(HasSubstr("10.0.0.0/8"), HasSubstr("via 192.168.77.1"),
                     HasSubstr("invalid gateway"))));
  odd.on_link = true;
  ASSERT_THAT(pod_->AddRoute(odd), IsOk());

  ASSERT_OK_AND_ASSIGN(auto routes, pod_->ListRoutes(link.index, AF_INET));
  EXPECT_THAT(routes, ::testing::UnorderedElementsAre(gateway, fallback, odd));
  EXPECT_THAT(pod_->AddRoute(gateway),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(int out, pod_->LookUpRoute(Ip("172.16.28.1")));
  EXPECT_EQ(out, link.index);
  EXPECT_THAT(pod_->LookUpRoute(Ip("8.8.8.8")), Not(IsOk()));
}

TEST_F(NetlinkKernelTest, Ipv6Routes) {
  Link link = MakePair();
  ASSERT_THAT(pod_->AddAddress({link.index, Prefix("fd00::2/64"), true, true}),
              IsOk());
  LinkRoute route;
  route.index = link.index;
  route.destination = Prefix("fd00:1::/64");
  route.priority = 5;
  ASSERT_THAT(pod_->AddRoute(route), IsOk());
  ASSERT_OK_AND_ASSIGN(auto routes, pod_->ListRoutes(link.index, AF_INET6));
  EXPECT_THAT(routes, Contains(route));
  ASSERT_OK_AND_ASSIGN(int out, pod_->LookUpRoute(Ip("fd00:1::9")));
  EXPECT_EQ(out, link.index);
}

TEST_F(NetlinkKernelTest, AbsentLinkNamesTheLink) {
  EXPECT_THAT(
      node_->GetLink("nope"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("RTM_GETLINK \"nope\"")));
  // Longer than IFNAMSIZ: refused by the kernel, not cut.
  EXPECT_THAT(node_->GetLink("a-name-of-far-too-many-bytes"), Not(IsOk()));
}

TEST(NetlinkOpenTest, RefusesWhatIsNoNamespace) {
  EXPECT_THAT(Netlink::OpenIn(0), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("setns(0")));
}

}  // namespace
}  // namespace davit
