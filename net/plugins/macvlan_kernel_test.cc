// ADD, CHECK and DEL of macvlan, by the built binary, in namespaces of the
// test's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

// The node's up0 leads to the outside, 192.0.2.2 and 2001:db8::2.
class MacvlanKernelTest : public ::testing::Test {
 protected:
  void SetUp() override { ConnectOutside(world_, outside_, {}); }

  std::string Config(const std::string& more) {
    return absl::StrFormat(
        R"({"cniVersion": "1.0.0", "name": "net", "type": "macvlan", %s,
            "ipam": {"type": "host-local", "dataDir": "%s", "ranges":
              [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100"}],
               [{"subnet": "2001:db8::/64", "rangeStart": "2001:db8::100"}]]
            }})",
        more, world_.data_dir());
  }
  PluginAnswer Add(const std::string& netns, const std::string& config,
                   const std::string& id = "pod-1") {
    PluginAnswer answer = world_.Run("macvlan", {"ADD", config, netns, id});
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return answer;
  }
  std::string Error(const PluginCall& call) {
    PluginAnswer answer = world_.Run("macvlan", call);
    EXPECT_EQ(answer.exit_code, 1);
    return answer.json.is_object() ? answer.json.value("msg", "") : answer.out;
  }

  PluginWorld world_;
  TestNetns outside_;
};

TEST_F(MacvlanKernelTest, SharesTheMastersNetworkInBothFamiliesAtOnce) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config = Config(
      R"("master": "up0", "mac": "02:00:00:00:00:77", "mtu": 1400,
         "bcqueuelen": 64)");
  PluginAnswer answer = Add(a, config, "pod-a");
  EXPECT_EQ(
      answer.json["interfaces"],
      (Json::array(
          {{{"name", "eth0"}, {"mac", "02:00:00:00:00:77"}, {"sandbox", a}}})));
  EXPECT_EQ(answer.json["ips"][0], (Json{{"interface", 0},
                                         {"address", "192.0.2.100/24"},
                                         {"gateway", "192.0.2.1"}}));
  ASSERT_OK_AND_ASSIGN(Link link, world_.PodLink(a).GetLink("eth0"));
  EXPECT_EQ(link.kind, "macvlan");
  EXPECT_EQ(link.macvlan, MacvlanMode::kBridge);
  EXPECT_EQ(link.mtu, 1400u);
  EXPECT_EQ(link.alias, "pod-a eth0");
  Add(b, Config(R"("master": "up0")"), "pod-b");

  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), outside_, Ip("2001:db8::2")),
            "2001:db8::100");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), outside_, Ip("192.0.2.2")),
            "192.0.2.100");
  EXPECT_EQ(
      *ConnectAndSeePeer(world_.pod(b), world_.pod(a), Ip("2001:db8::100")),
      "2001:db8::101");
}

TEST_F(MacvlanKernelTest, TheDefaultRoutesInterfaceIsTheMaster) {
  const std::string pod = world_.AddPod("a");
  const std::string config = Config(R"("mode": "private")");
  EXPECT_EQ(Error({"ADD", config, pod}),
            "master: no default route interface found");
  EXPECT_THAT(world_.Leases(), IsEmpty());
  Netlink& node = world_.node_link();
  LinkRoute route;
  route.index = node.GetLink("up0")->index;
  route.destination = *IpPrefix::Parse("0.0.0.0/0");
  route.gateway = Ip("192.0.2.2");
  ASSERT_THAT(node.AddRoute(route), IsOk());
  Add(pod, config);
  ASSERT_OK_AND_ASSIGN(Link link, world_.PodLink(pod).GetLink("eth0"));
  EXPECT_EQ(link.peer_index, route.index);
  EXPECT_EQ(link.macvlan, MacvlanMode::kPrivate);
}

TEST_F(MacvlanKernelTest, TheNodeMayHaveAnInterfaceOfThatName) {
  ASSERT_THAT(world_.node_link().AddBridge({.name = "eth0"}), IsOk());
  const std::string pod = world_.AddPod("a");
  Add(pod, Config(R"("master": "up0")"));
  EXPECT_EQ(world_.PodLink(pod).GetLink("eth0")->kind, "macvlan");
}

TEST_F(MacvlanKernelTest, AMasterInThePod) {
  const std::string pod = world_.AddPod("a");
  ASSERT_THAT(
      world_.node_link().AddVethPair({.name = "v0",
                                      .peer_name = "lan0",
                                      .peer_netns_fd = world_.pod(pod).fd()}),
      IsOk());
  const std::string config =
      R"({"cniVersion": "1.0.0", "name": "l2", "master": "lan0",
          "linkInContainer": true, "mode": "vepa"})";
  PluginAnswer answer = Add(pod, config);
  Netlink inside = world_.PodLink(pod);
  EXPECT_EQ(inside.GetLink("eth0")->peer_index, inside.GetLink("lan0")->index);
  EXPECT_TRUE(inside.GetLink("eth0")->up);
  PluginCall call{"CHECK", WithPrevResult(config, answer.json), pod};
  EXPECT_EQ(world_.Run("macvlan", call).out, "");
  call.command = "DEL";
  EXPECT_EQ(world_.Run("macvlan", call).exit_code, 0);
  EXPECT_FALSE(inside.GetLink("eth0").ok());
  EXPECT_THAT(inside.GetLink("lan0"), IsOk());
}

TEST_F(MacvlanKernelTest, ErrorsLeaveNothing) {
  const std::string pod = world_.AddPod("a");
  EXPECT_THAT(Error({"ADD", Config(R"("master": "nope")"), pod}),
              HasSubstr("failed to lookup master \"nope\": RTM_GETLINK"));
  EXPECT_EQ(Error({"ADD", Config(R"("master": "up0", "mtu": 9000)"), pod}),
            "invalid MTU 9000, must be [0, master MTU(1500)]");
  EXPECT_EQ(Error({"ADD", Config(R"("master": "up0", "mode": "x")"), pod}),
            "unknown macvlan mode: \"x\"");
  EXPECT_THAT(
      Error({"ADD", Config(R"("master": "up0", "bcqueuelen": -1)"), pod}),
      HasSubstr("bcqueuelen: -1"));
  EXPECT_THAT(world_.Leases(), IsEmpty());
  // Only one passthru link can be on a master.
  const std::string config = Config(R"("master": "up0", "mode": "passthru")");
  Add(pod, config);
  const std::string other = world_.AddPod("b");
  EXPECT_THAT(Error({"ADD", config, other, "pod-2"}),
              HasSubstr("failed to create macvlan: RTM_NEWLINK macvlan"));
  EXPECT_THAT(world_.Leases(), ::testing::SizeIs(2));
  EXPECT_FALSE(world_.PodLink(other).GetLink("eth0").ok());
}

TEST_F(MacvlanKernelTest, CheckAndDel) {
  const std::string pod = world_.AddPod("a");
  const std::string config = Config(R"("master": "up0")");
  PluginAnswer answer = Add(pod, config);
  const std::string with_result = WithPrevResult(config, answer.json);
  EXPECT_EQ(world_.Run("macvlan", {"CHECK", with_result, pod}).out, "");
  EXPECT_EQ(Error({"CHECK", config, pod}), "required prevResult missing");
  Json json = Json::parse(with_result);
  json["mode"] = "vepa";
  EXPECT_EQ(
      Error({"CHECK", json.dump(), pod}),
      "container macvlan mode bridge does not match expected value: vepa");
  ASSERT_THAT(world_.node_link().AddBridge({.name = "br9"}), IsOk());
  json = Json::parse(with_result);
  json["master"] = "br9";
  EXPECT_EQ(Error({"CHECK", json.dump(), pod}),
            "interface eth0 does not share br9");

  for (const std::string& netns : {pod, pod, std::string()}) {
    EXPECT_EQ(world_.Run("macvlan", {"DEL", config, netns}).exit_code, 0);
  }
  EXPECT_THAT(world_.Leases(), IsEmpty());
  EXPECT_FALSE(world_.PodLink(pod).GetLink("eth0").ok());
  // With the namespace gone.
  Add(pod, config);
  world_.Unpin(pod, /*keep=*/false);
  EXPECT_EQ(world_.Run("macvlan", {"DEL", config, pod}).exit_code, 0);
  EXPECT_THAT(world_.Leases(), IsEmpty());
}

TEST_F(MacvlanKernelTest, GosPluginAndOursUndoEachOther) {
  const std::string go = std::string(PluginWorld::kGoPlugins) + "/macvlan";
  const std::string config =
      R"({"cniVersion": "1.0.0", "name": "l2", "master": "up0", "ipam": {}})";
  const std::string pod = world_.AddPod("a");
  PluginAnswer added =
      world_.Run(go, PluginWorld::kGoPlugins, {"ADD", config, pod});
  ASSERT_EQ(added.exit_code, 0) << added.out;
  PluginCall call{"CHECK", WithPrevResult(config, added.json), pod};
  EXPECT_EQ(world_.Run("macvlan", call).out, "");
  call.command = "DEL";
  EXPECT_EQ(world_.Run("macvlan", call).exit_code, 0);
  added = Add(pod, config);
  call = {"CHECK", WithPrevResult(config, added.json), pod};
  EXPECT_EQ(world_.Run(go, PluginWorld::kGoPlugins, call).out, "");
  call.command = "DEL";
  EXPECT_EQ(world_.Run(go, PluginWorld::kGoPlugins, call).exit_code, 0);
  EXPECT_FALSE(world_.PodLink(pod).GetLink("eth0").ok());
}

}  // namespace
}  // namespace davit
