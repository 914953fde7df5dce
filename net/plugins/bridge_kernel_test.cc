// ADD, CHECK and DEL of bridge, by the built binary, in namespaces of the
// test's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

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
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }
IpPrefix Prefix(absl::string_view text) { return *IpPrefix::Parse(text); }

class BridgeKernelTest : public ::testing::Test {
 protected:
  // With host-local; `more` are further members.
  std::string Config(const std::string& more,
                     const std::string& subnet = "10.88.0.0/24",
                     const std::string& version = "1.0.0") {
    return absl::StrFormat(
        R"({"cniVersion": "%s", "name": "net", "type": "bridge",
            "bridge": "br0", %s
            "ipam": {"type": "host-local", "subnet": "%s", "dataDir": "%s"}})",
        version, more.empty() ? "" : more + ",", subnet, world_.data_dir());
  }
  static std::string Layer2Config(const std::string& more) {
    return R"({"cniVersion": "1.0.0", "name": "l2", "bridge": "br0")" +
           (more.empty() ? "" : "," + more) + "}";
  }
  PluginAnswer Add(const std::string& netns, const std::string& config,
                   const std::string& id = "pod-1") {
    PluginAnswer answer = world_.Run("bridge", {"ADD", config, netns, id});
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return answer;
  }
  std::string Error(const PluginCall& call) {
    PluginAnswer answer = world_.Run("bridge", call);
    EXPECT_EQ(answer.exit_code, 1);
    return answer.json.is_object() ? answer.json.value("msg", "") : answer.out;
  }
  std::string Sysctl(const TestNetns& netns, const std::string& name) {
    std::string value;
    EXPECT_THAT(netns.Run([&]() -> absl::Status {
      value = ReadFile("/proc/sys/net/" + name).value_or("absent");
      return absl::OkStatus();
    }),
                IsOk());
    return value;
  }
  absl::StatusOr<std::string> Talk(const std::string& from,
                                   const std::string& to,
                                   const std::string& address) {
    return ConnectAndSeePeer(world_.pod(from), world_.pod(to), Ip(address));
  }
  Netlink& node() { return world_.node_link(); }

  PluginWorld world_;
  TestNetns outside_;
};

TEST_F(BridgeKernelTest, MakesTheDocumentedLinks) {
  const std::string pod = world_.AddPod("a");
  PluginAnswer answer =
      Add(pod, Config(R"("isDefaultGateway": true, "mtu": 1400,
                     "runtimeConfig": {"mac": "02:00:00:00:00:99"})"));
  const std::string host = answer.json["interfaces"][1]["name"];
  ASSERT_OK_AND_ASSIGN(Link bridge, node().GetLink("br0"));
  ASSERT_OK_AND_ASSIGN(Link port, node().GetLink(host));
  Netlink inside = world_.PodLink(pod);
  ASSERT_OK_AND_ASSIGN(Link pod_end, inside.GetLink("eth0"));
  EXPECT_EQ(answer.json["interfaces"],
            (Json::array({{{"name", "br0"}, {"mac", bridge.mac->ToString()}},
                          {{"name", host}, {"mac", port.mac->ToString()}},
                          {{"name", "eth0"},
                           {"mac", "02:00:00:00:00:99"},
                           {"sandbox", pod}}})));
  EXPECT_EQ(answer.json["ips"], (Json::array({{{"interface", 2},
                                               {"address", "10.88.0.2/24"},
                                               {"gateway", "10.88.0.1"}}})));
  EXPECT_EQ(answer.json["routes"],
            (Json::array({{{"dst", "0.0.0.0/0"}, {"gw", "10.88.0.1"}}})));
  EXPECT_EQ(bridge.kind, "bridge");
  EXPECT_TRUE(bridge.up);
  EXPECT_EQ(bridge.mtu, 1400u);
  EXPECT_EQ(port.master_index, bridge.index);
  EXPECT_EQ(port.port, BridgePort());
  EXPECT_EQ(port.alias, "pod-1 eth0");
  EXPECT_TRUE(port.operational);
  EXPECT_EQ(pod_end.mtu, 1400u);
  ASSERT_OK_AND_ASSIGN(auto addresses, node().ListAddresses(bridge.index));
  EXPECT_THAT(addresses,
              Contains(Address{bridge.index, Prefix("10.88.0.1/24")}));
  ASSERT_OK_AND_ASSIGN(auto routes, inside.ListRoutes(pod_end.index, AF_INET));
  LinkRoute fallback{.index = pod_end.index,
                     .destination = Prefix("0.0.0.0/0"),
                     .gateway = Ip("10.88.0.1")};
  EXPECT_THAT(routes, Contains(fallback));
  EXPECT_THAT(routes, SizeIs(2));  // and the kernel's, to the prefix
  EXPECT_EQ(Sysctl(world_.node(), "ipv4/ip_forward"), "1\n");
  EXPECT_EQ(Sysctl(world_.node(), "ipv6/conf/br0/accept_ra"), "0\n");
  EXPECT_EQ(Sysctl(world_.pod(pod), "ipv4/conf/eth0/arp_notify"), "1\n");
}

TEST_F(BridgeKernelTest, PodsGatewayAndOutside) {
  ConnectOutside(world_, outside_, {});
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config =
      Config(R"("isDefaultGateway": true, "ipMasq": true)");
  Add(a, config, "pod-a");
  const auto mac = node().GetLink("br0")->mac;
  Add(b, config, "pod-b");
  EXPECT_EQ(node().GetLink("br0")->mac, mac);  // whatever its ports' are

  EXPECT_EQ(*Talk(a, b, "10.88.0.3"), "10.88.0.2");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), world_.node(), Ip("10.88.0.1")),
            "10.88.0.2");
  EXPECT_EQ(*ConnectAndSeePeer(world_.node(), world_.pod(b), Ip("10.88.0.3")),
            "10.88.0.1");
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(a), outside_, Ip("192.0.2.2")),
            "192.0.2.1");

  ASSERT_EQ(world_.Run("bridge", {"DEL", config, a, "pod-a"}).exit_code, 0);
  EXPECT_THAT(world_.Leases(), ElementsAre("10.88.0.3"));
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("10.88.0.2")));
  EXPECT_EQ(*ConnectAndSeePeer(world_.pod(b), outside_, Ip("192.0.2.2")),
            "192.0.2.1");
  ASSERT_EQ(world_.Run("bridge", {"DEL", config, b, "pod-b"}).exit_code, 0);
  EXPECT_THAT(world_.Leases(), IsEmpty());
  EXPECT_EQ(world_.Ruleset(), "");
  // The bridge stays, as with Go's plugin.
  std::vector<std::string> left = world_.Interfaces();
  EXPECT_THAT(left, ::testing::UnorderedElementsAre("br0", "up0"));
}

TEST_F(BridgeKernelTest, Layer2WithoutIpam) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config = Layer2Config("");
  PluginAnswer answer = Add(a, config, "pod-a");
  EXPECT_FALSE(answer.json.contains("ips"));
  Add(b, config, "pod-b");
  for (const auto& [pod, address] :
       {std::pair(a, "10.1.1.1/24"), std::pair(b, "10.1.1.2/24")}) {
    Netlink inside = world_.PodLink(pod);
    ASSERT_OK_AND_ASSIGN(Link link, inside.GetLink("eth0"));
    EXPECT_TRUE(link.up);
    ASSERT_THAT(inside.AddAddress({link.index, Prefix(address)}), IsOk());
  }
  EXPECT_EQ(*Talk(a, b, "10.1.1.2"), "10.1.1.1");
  // Go's CHECK fails here: "no plugin name provided".
  PluginCall check{"CHECK", WithPrevResult(config, answer.json), a, "pod-a"};
  EXPECT_EQ(world_.Run("bridge", check).out, "");
  EXPECT_EQ(world_.Run("bridge", {"DEL", config, a, "pod-a"}).exit_code, 0);
  EXPECT_THAT(world_.Interfaces(), SizeIs(2));
}

TEST_F(BridgeKernelTest, IsolatedPortsReachOnlyTheGateway) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config =
      Config(R"("isGateway": true, "portIsolation": true)");
  PluginAnswer answer = Add(a, config, "pod-a");
  Add(b, config, "pod-b");
  EXPECT_THAT(ConnectAndSeePeer(world_.pod(a), world_.node(), Ip("10.88.0.1")),
              IsOk());
  EXPECT_THAT(Talk(a, b, "10.88.0.3"), Not(IsOk()));
  EXPECT_EQ(world_
                .Run("bridge",
                     {"CHECK", WithPrevResult(config, answer.json), a, "pod-a"})
                .out,
            "");
}

TEST_F(BridgeKernelTest, PortAndBridgeModes) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  PluginAnswer answer = Add(a, Layer2Config(R"("hairpinMode": true)"), "pod-a");
  EXPECT_TRUE(
      node()
          .GetLink(answer.json["interfaces"][1]["name"].get<std::string>())
          ->port->hairpin);
  EXPECT_FALSE(node().GetLink("br0")->promiscuous);
  Add(b, Layer2Config(R"("promiscMode": true)"), "pod-b");
  EXPECT_TRUE(node().GetLink("br0")->promiscuous);
  const std::string c = world_.AddPod("c");
  answer =
      Add(c, Layer2Config(R"("disableContainerInterface": true)"), "pod-c");
  EXPECT_FALSE(world_.PodLink(c).GetLink("eth0")->up);
}

TEST_F(BridgeKernelTest, OtherAddressesOfTheBridge) {
  const std::string a = world_.AddPod("a");
  Add(a, Config(R"("isGateway": true)"), "pod-a");
  const int index = node().GetLink("br0")->index;
  // A second IPv6 network beside is no conflict.
  const std::string b = world_.AddPod("b"), c = world_.AddPod("c");
  Add(b, Config(R"("isGateway": true)", "fd00:1::/64"), "pod-b");
  Add(c, Config(R"("isGateway": true)", "fd00:2::/64"), "pod-c");

  const std::string d = world_.AddPod("d");
  EXPECT_EQ(Error({"ADD", Config(R"("isGateway": true)", "10.99.0.0/24"), d,
                   "pod-d"}),
            "\"br0\" already has an IP address different from 10.99.0.1/24: "
            "10.88.0.1/24");
  EXPECT_FALSE(world_.PodLink(d).GetLink("eth0").ok());
  EXPECT_THAT(world_.Leases(), Not(Contains("10.99.0.2")));
  Add(d, Config(R"("isGateway": true, "forceAddress": true)", "10.99.0.0/24"),
      "pod-d");
  ASSERT_OK_AND_ASSIGN(auto addresses, node().ListAddresses(index));
  EXPECT_THAT(addresses, Contains(Address{index, Prefix("10.99.0.1/24")}));
  EXPECT_THAT(addresses, Not(Contains(Address{index, Prefix("10.88.0.1/24")})));
  EXPECT_THAT(addresses,
              Contains(Address{index, Prefix("fd00:1::1/64"), false, true}));
}

TEST_F(BridgeKernelTest, ABridgeOfSomebodyElse) {
  ASSERT_THAT(node().AddBridge({.name = "br0"}), IsOk());
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  PluginAnswer answer = Add(a, Config(R"("isGateway": true)"), "pod-a");
  const auto mac = node().GetLink("br0")->mac;
  EXPECT_EQ(answer.json["interfaces"][0]["mac"], mac->ToString());
  // The gateway's MAC address no longer depends on the ports.
  PluginCall with_low_mac{"ADD", Config(R"("isGateway": true,
                "runtimeConfig": {"mac": "02:00:00:00:00:01"})"),
                          b, "pod-b"};
  ASSERT_EQ(world_.Run("bridge", with_low_mac).exit_code, 0);
  EXPECT_EQ(node().GetLink("br0")->mac, mac);

  const std::string c = world_.AddPod("c");
  ASSERT_THAT(
      node().AddVethPair(
          {.name = "v0", .peer_name = "v1", .peer_netns_fd = outside_.fd()}),
      IsOk());
  EXPECT_EQ(Error({"ADD", R"({"cniVersion": "1.0.0", "name": "x",
                              "bridge": "v0"})",
                   c}),
            "bridge \"v0\": \"v0\" already exists but is not a bridge");
}

TEST_F(BridgeKernelTest, VlansNeedABridgeThatFilters) {
  const std::string pod = world_.AddPod("a");
  ASSERT_THAT(node().AddBridge({.name = "br0"}), IsOk());
  EXPECT_EQ(Error({"ADD", Layer2Config(R"("vlan": 7)"), pod}),
            "bridge \"br0\": vlan: bridge \"br0\" exists without VLAN "
            "filtering");
  EXPECT_FALSE(world_.PodLink(pod).GetLink("eth0").ok());
}

TEST_F(BridgeKernelTest, PodsOfOneVlanSeeEachOther) {
  absl::Status filtering =
      node().AddBridge({.name = "probe", .vlan_filtering = true});
  if (absl::IsUnimplemented(filtering)) {
    GTEST_SKIP() << "needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING: "
                 << filtering.message();
  }
  const std::string vlan7 =
      Config(R"("isGateway": true, "vlan": 7, "preserveDefaultVlan": false)");
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b"),
                    c = world_.AddPod("c");
  PluginAnswer answer = Add(a, vlan7, "pod-a");
  EXPECT_EQ(answer.json["interfaces"][3]["name"], "br0.7");
  Add(b, vlan7, "pod-b");
  Add(c, Config(R"("vlan": 8, "preserveDefaultVlan": false)"), "pod-c");
  EXPECT_THAT(Talk(a, b, "10.88.0.3"), IsOk());
  EXPECT_THAT(Talk(a, c, "10.88.0.4"), Not(IsOk()));
  EXPECT_THAT(ConnectAndSeePeer(world_.pod(a), world_.node(), Ip("10.88.0.1")),
              IsOk());
  EXPECT_EQ(world_
                .Run("bridge",
                     {"DEL", WithPrevResult(vlan7, answer.json), a, "pod-a"})
                .exit_code,
            0);
  EXPECT_THAT(node().GetLink("br0.7"), IsOk());  // others use it
}

TEST_F(BridgeKernelTest, APodCannotUseAnotherMacAddress) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config =
      Config(R"("isGateway": true, "macspoofchk": true)");
  PluginAnswer answer = Add(a, config, "pod-a");
  Add(b, config, "pod-b");
  EXPECT_EQ(*Talk(a, b, "10.88.0.3"), "10.88.0.2");
  const PluginCall check{"CHECK", WithPrevResult(config, answer.json), a,
                         "pod-a"};
  EXPECT_EQ(world_.Run("bridge", check).out, "");

  Netlink inside = world_.PodLink(a);
  const Link link = *inside.GetLink("eth0");
  ASSERT_THAT(inside.ChangeLink(
                  link.index, {.mac = *MacAddress::Parse("02:00:00:00:00:66")}),
              IsOk());
  EXPECT_THAT(Talk(a, b, "10.88.0.3"), Not(IsOk()));
  ASSERT_THAT(inside.ChangeLink(link.index, {.mac = link.mac}), IsOk());
  EXPECT_THAT(Talk(a, b, "10.88.0.3"), IsOk());

  world_.Unpin(a, /*keep=*/true);
  EXPECT_EQ(world_.Run("bridge", {"DEL", config, a, "pod-a"}).exit_code, 0);
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("pod-a")));
  EXPECT_THAT(world_.Ruleset(), HasSubstr("pod-b"));
  EXPECT_EQ(world_.Run("bridge", {"DEL", config, b, "pod-b"}).exit_code, 0);
  EXPECT_EQ(world_.Ruleset(), "");
}

TEST_F(BridgeKernelTest, CheckFindsAMissingCheckOfMacAddresses) {
  const std::string pod = world_.AddPod("a");
  PluginAnswer answer = Add(pod, Layer2Config(""));
  EXPECT_THAT(
      Error(
          {"CHECK",
           WithPrevResult(Layer2Config(R"("macspoofchk": true)"), answer.json),
           pod}),
      HasSubstr("macspoofchk: nothing checks the MAC addresses of veth"));
}

TEST_F(BridgeKernelTest, CheckFindsWhatIsWrong) {
  const std::string pod = world_.AddPod("a");
  const std::string config =
      Config(R"("isDefaultGateway": true, "ipMasq": true)");
  PluginAnswer answer = Add(pod, config);
  const std::string with_result = WithPrevResult(config, answer.json);
  PluginCall check{"CHECK", with_result, pod};
  ASSERT_EQ(world_.Run("bridge", check).out, "");
  EXPECT_EQ(Error({"CHECK", config, pod}), "Required prevResult missing");

  auto altered = [&](const char* pointer, const std::string& value) {
    Json json = Json::parse(with_result);
    json[Json::json_pointer(pointer)] = value;
    return Error({"CHECK", json.dump(), pod});
  };
  EXPECT_THAT(altered("/prevResult/interfaces/0/mac", "02:00:00:00:00:01"),
              HasSubstr("interface br0 has MAC"));
  EXPECT_THAT(altered("/prevResult/interfaces/1/mac", "02:00:00:00:00:01"),
              HasSubstr("not 02:00:00:00:00:01"));
  EXPECT_THAT(altered("/prevResult/interfaces/1/name", "veth-none"),
              HasSubstr("RTM_GETLINK \"veth-none\""));
  EXPECT_THAT(altered("/prevResult/ips/0/address", "10.88.0.9/24"),
              HasSubstr("lacks address 10.88.0.9/24"));
  EXPECT_THAT(altered("/prevResult/ips/0/gateway", "10.88.0.9"),
              HasSubstr("br0 lacks the gateway's address 10.88.0.9/24"));
  auto reconfigured = [&](const char* key) {
    Json json = Json::parse(with_result);
    json[key] = true;
    return Error({"CHECK", json.dump(), pod});
  };
  EXPECT_THAT(reconfigured("promiscMode"),
              HasSubstr("promiscMode: bridge br0 has it off"));
  EXPECT_THAT(reconfigured("hairpinMode"),
              HasSubstr("has hairpinMode 0 and portIsolation 0"));

  // The port taken out of the bridge, by its end and a new birth beside it.
  const std::string host = answer.json["interfaces"][1]["name"];
  ASSERT_THAT(node().DeleteLink(host), IsOk());
  EXPECT_THAT(Error(check), HasSubstr("RTM_GETLINK \"eth0\""));
}

TEST_F(BridgeKernelTest, DelWithoutNetnsOrPrevResultAndTwice) {
  const std::string config = Config(R"("isGateway": true, "ipMasq": true)");
  for (bool pinned : {true, false}) {
    const std::string pod = world_.AddPod(pinned ? "a" : "b");
    Add(pod, config);
    if (!pinned) world_.Unpin(pod, /*keep=*/true);
    for (const std::string& netns : {pod, std::string(), pod}) {
      PluginAnswer answer = world_.Run("bridge", {"DEL", config, netns});
      EXPECT_EQ(answer.exit_code, 0) << answer.out;
    }
    EXPECT_THAT(world_.Interfaces(), ElementsAre("br0"));
    EXPECT_THAT(world_.Leases(), IsEmpty());
    EXPECT_EQ(world_.Ruleset(), "");
  }
}

TEST_F(BridgeKernelTest, FailuresLeaveNothingButTheBridge) {
  const std::string pod = world_.AddPod("a");
  Json config = Json::parse(Config(R"("isGateway": true, "ipMasq": true)"));
  config["ipam"]["routes"] =
      Json::parse(R"([{"dst": "10.0.0.0/8", "gw": "192.168.1.1"}])");
  EXPECT_THAT(Error({"ADD", config.dump(), pod}),
              HasSubstr("route 10.0.0.0/8 of IPAM: RTM_NEWROUTE 10.0.0.0/8"));
  EXPECT_THAT(world_.Interfaces(), ElementsAre("br0"));
  EXPECT_THAT(world_.Leases(), IsEmpty());
  EXPECT_EQ(world_.Ruleset(), "");
  EXPECT_FALSE(world_.PodLink(pod).GetLink("eth0").ok());
  const std::string good = Config("");
  Add(pod, good);
  EXPECT_THAT(Error({"ADD", good, pod}),
              HasSubstr("interface \"eth0\" already exists in netns"));
}

TEST_F(BridgeKernelTest, ManyAtOnceMakeOneBridge) {
  constexpr int kPods = 12;
  const std::string config = Config(R"("isGateway": true, "ipMasq": true)");
  std::vector<std::string> pods;
  for (int i = 0; i < kPods; ++i) {
    pods.push_back(world_.AddPod(absl::StrCat("p", i)));
  }
  auto all = [&](const std::string& command) {
    std::vector<std::thread> threads;
    std::vector<PluginAnswer> answers(kPods);
    for (int i = 0; i < kPods; ++i) {
      threads.emplace_back([&, i] {
        answers[i] = world_.Run(
            "bridge", {command, config, pods[i], absl::StrCat("pod-", i)});
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const PluginAnswer& answer : answers) {
      EXPECT_EQ(answer.exit_code, 0) << answer.out;
    }
    return answers;
  };
  std::vector<PluginAnswer> added = all("ADD");
  EXPECT_THAT(world_.Interfaces(), SizeIs(kPods + 1));
  EXPECT_THAT(world_.Leases(), SizeIs(kPods));
  for (const PluginAnswer& answer : added) {
    EXPECT_EQ(answer.json["interfaces"][0], added[0].json["interfaces"][0]);
  }
  const std::string last = added[kPods - 1].json["ips"][0]["address"];
  EXPECT_THAT(Talk(pods[0], pods[kPods - 1], last.substr(0, last.find('/'))),
              IsOk());
  all("DEL");
  EXPECT_THAT(world_.Interfaces(), ElementsAre("br0"));
  EXPECT_THAT(world_.Leases(), IsEmpty());
  EXPECT_EQ(world_.Ruleset(), "");
}

TEST_F(BridgeKernelTest, GosPluginAndOursUndoEachOther) {
  const std::string config = Config(R"("isGateway": true)");
  const std::string go = std::string(PluginWorld::kGoPlugins) + "/bridge";
  const std::string pod = world_.AddPod("a");
  PluginAnswer added =
      world_.Run(go, PluginWorld::kGoPlugins, {"ADD", config, pod});
  ASSERT_EQ(added.exit_code, 0) << added.out;
  const std::string with_result = WithPrevResult(config, added.json);
  EXPECT_EQ(world_.Run("bridge", {"CHECK", with_result, pod}).out, "");
  world_.Unpin(pod, /*keep=*/true);  // which Go's own DEL leaves
  EXPECT_EQ(world_.Run("bridge", {"DEL", with_result, pod}).exit_code, 0);
  EXPECT_THAT(world_.Interfaces(), ElementsAre("br0"));

  const std::string other = world_.AddPod("b");
  PluginAnswer ours = Add(other, config, "pod-2");
  PluginCall call{"CHECK", WithPrevResult(config, ours.json), other, "pod-2"};
  EXPECT_EQ(world_.Run(go, PluginWorld::kGoPlugins, call).out, "");
  call.command = "DEL";
  EXPECT_EQ(world_.Run(go, PluginWorld::kGoPlugins, call).exit_code, 0);
  EXPECT_THAT(world_.Interfaces(), ElementsAre("br0"));
  EXPECT_THAT(world_.Leases(), IsEmpty());
}

}  // namespace
}  // namespace davit
