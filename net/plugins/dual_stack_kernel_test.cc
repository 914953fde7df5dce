// IPv4 and IPv6 together, with and without duplicate address detection, and
// names of the node's end, for ptp and bridge alike.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "net/plugins/plugin_world.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::ConnectAndSeePeer;
using ::davit::testing::ConnectOutside;
using ::davit::testing::IsOk;
using ::davit::testing::PluginAnswer;
using ::davit::testing::PluginCall;
using ::davit::testing::PluginWorld;
using ::davit::testing::TestNetns;
using ::davit::testing::WithPrevResult;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kSubnet4[] = "172.16.28.0/24";
constexpr char kSubnet6[] = "fd00:28::/64";

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

class DualStackKernelTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::string Config(const std::string& more = "") {
    return absl::StrFormat(
        R"({"cniVersion": "1.0.0", "name": "net", "type": "%s",
            "bridge": "br0", "isGateway": true, %s
            "ipam": {"type": "host-local", "dataDir": "%s",
                     "ranges": [[{"subnet": "%s"}], [{"subnet": "%s"}]],
                     "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}})",
        GetParam(), more.empty() ? "" : more + ",", world_.data_dir(), kSubnet4,
        kSubnet6);
  }
  PluginAnswer Add(const std::string& netns, const std::string& config,
                   const std::string& id = "pod-1") {
    PluginAnswer answer = world_.Run(GetParam(), {"ADD", config, netns, id});
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return answer;
  }
  // The links of the node but for the bridge.
  std::vector<std::string> Links() {
    std::vector<std::string> links = world_.Interfaces();
    std::erase(links, "br0");
    return links;
  }

  PluginWorld world_;
  TestNetns outside_;
};

TEST_P(DualStackKernelTest, BothFamiliesWorkAtOnce) {
  ConnectOutside(world_, outside_, {kSubnet4, kSubnet6});
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  PluginAnswer answer = Add(a, Config(), "pod-a");
  ASSERT_THAT(answer.json["ips"], SizeIs(2));
  // The pod's first packet of all, through the node to the outside and back:
  // no address on the way may be tentative.
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), outside_, Ip("2001:db8::2")),
            "fd00:28::2");
  Add(b, Config(), "pod-b");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(b), world_.pod(a), Ip("fd00:28::2")),
            "fd00:28::3");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), world_.pod(b), Ip("172.16.28.3")),
            "172.16.28.2");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), outside_, Ip("192.0.2.2")),
            "172.16.28.2");
  for (const char* gateway : {"172.16.28.1", "fd00:28::1"}) {
    EXPECT_THAT(ConnectAndSeePeer(world_.pod(b), world_.node(), Ip(gateway)),
                IsOk());
  }
  for (const char* pod : {"172.16.28.2", "fd00:28::2"}) {
    EXPECT_THAT(ConnectAndSeePeer(outside_, world_.pod(a), Ip(pod)), IsOk());
  }
}

TEST_P(DualStackKernelTest, MasqueradesBothFamilies) {
  ConnectOutside(world_, outside_, {});
  const std::string pod = world_.AddPod("a");
  Add(pod, Config(R"("ipMasq": true)"));
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(pod), outside_, Ip("2001:db8::2")),
            "2001:db8::1");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(pod), outside_, Ip("192.0.2.2")),
            "192.0.2.1");
}

TEST_P(DualStackKernelTest, LeasesAreNeverTentative) {
  const std::string pod = world_.AddPod("a");
  const absl::Time begin = absl::Now();
  Add(pod, Config());
  // Detection takes a second at least.
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(900));
  Netlink inside = world_.PodLink(pod);
  ASSERT_OK_AND_ASSIGN(auto addresses,
                       inside.ListAddresses(inside.GetLink("eth0")->index));
  ASSERT_THAT(addresses, SizeIs(3));  // with the link-local one
  for (const Address& address : addresses) {
    // The link-local one is for a moment, until a worker of the kernel's has
    // seen that nothing is to be detected.
    if (address.prefix.ToString().starts_with("fe80:")) continue;
    EXPECT_FALSE(address.tentative) << address.prefix.ToString();
  }
}

TEST_P(DualStackKernelTest, WithDetectionAddWaitsForItsEnd) {
  const std::string pod = world_.AddPod("a");
  Add(pod, Config(R"("enabledad": true)"));
  Netlink inside = world_.PodLink(pod);
  ASSERT_OK_AND_ASSIGN(auto addresses,
                       inside.ListAddresses(inside.GetLink("eth0")->index));
  for (const Address& address : addresses) {
    EXPECT_FALSE(address.tentative) << address.prefix.ToString();
    EXPECT_FALSE(address.no_dad) << address.prefix.ToString();
  }
  std::string sysctl;
  ASSERT_THAT(world_.pod(pod).Run([&]() -> absl::Status {
    sysctl = ReadFile("/proc/sys/net/ipv6/conf/eth0/accept_dad").value_or("-");
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_EQ(sysctl, "1\n");
}

TEST_P(DualStackKernelTest, TheNodesEndIsNamedOnRequest) {
  const std::string pod = world_.AddPod("a"), other = world_.AddPod("b");
  const std::string config =
      Config(R"("runtimeConfig": {"hostInterfaceName": "ve-web"})");
  PluginAnswer answer = Add(pod, config);
  EXPECT_THAT(answer.out, HasSubstr("\"ve-web\""));
  EXPECT_THAT(Links(), ::testing::ElementsAre("ve-web"));

  PluginAnswer taken = world_.Run(GetParam(), {"ADD", config, other, "pod-2"});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_EQ(taken.json["msg"],
            "hostInterfaceName: the node has an interface \"ve-web\" already "
            "(\"pod-1 eth0\")");
  EXPECT_THAT(world_.Leases(), SizeIs(2));
  EXPECT_THAT(Links(), SizeIs(1));
  EXPECT_EQ(
      world_
          .Run(GetParam(), {"CHECK", WithPrevResult(config, answer.json), pod})
          .out,
      "");
  // Neither name nor namespace nor prevResult.
  world_.Unpin(pod, /*keep=*/true);
  EXPECT_EQ(world_.Run(GetParam(), {"DEL", Config(), ""}).exit_code, 0);
  EXPECT_THAT(Links(), IsEmpty());
  EXPECT_THAT(world_.Leases(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Plugins, DualStackKernelTest,
                         ::testing::Values("ptp", "bridge"),
                         [](const auto& info) { return info.param; });

// Somebody else on the pods' bridge has the address that a lease gives.
TEST(BridgeDadKernelTest, DetectionFindsTheOtherOne) {
  PluginWorld world;
  const std::string squatter = world.AddPod("a"), pod = world.AddPod("b");
  ASSERT_EQ(world
                .Run("bridge", {"ADD", R"({"cniVersion": "1.0.0", "name": "l2",
                                           "bridge": "br0"})",
                                squatter, "squatter"})
                .exit_code,
            0);
  Netlink inside = world.PodLink(squatter);
  ASSERT_THAT(inside.AddAddress({.index = inside.GetLink("eth0")->index,
                                 .prefix = *IpPrefix::Parse("fd00:28::2/64"),
                                 .no_dad = true}),
              IsOk());
  PluginAnswer answer = world.Run(
      "bridge", {"ADD",
                 absl::StrFormat(R"({"cniVersion": "1.0.0", "name": "net",
          "bridge": "br0", "enabledad": true, "ipam": {"type": "host-local",
          "subnet": "%s", "dataDir": "%s"}})",
                                 kSubnet6, world.data_dir()),
                 pod});
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.json["msg"],
            "duplicate address detection: somebody else on the link has "
            "fd00:28::2/64");
  EXPECT_THAT(world.Leases(), IsEmpty());
  EXPECT_FALSE(world.PodLink(pod).GetLink("eth0").ok());
}

}  // namespace
}  // namespace davit
