// ADD and CHECK of ptp, by the built binary, in namespaces of the test's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
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
using ::davit::testing::PtpJson;
using ::davit::testing::TestNetns;
using ::davit::testing::WithPrevResult;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }
IpPrefix Prefix(absl::string_view text) { return *IpPrefix::Parse(text); }

constexpr char kSubnet4[] = "172.16.28.0/24";
constexpr char kSubnet6[] = "fd00:28::/64";

class PtpAddKernelTest : public ::testing::Test {
 protected:
  PluginAnswer Add(const std::string& netns, const std::string& config,
                   const std::string& id = "pod-1") {
    PluginCall call{"ADD", config, netns, id};
    PluginAnswer answer = world_.Run("ptp", call);
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return answer;
  }
  // The text of the error that a call must give.
  std::string Error(const PluginCall& call) {
    PluginAnswer answer = world_.Run("ptp", call);
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
  // On the node.
  std::vector<std::string> AddressesOf(const Link& link) {
    std::vector<std::string> texts;
    auto addresses = world_.node_link().ListAddresses(link.index);
    EXPECT_THAT(addresses, IsOk());
    for (const Address& address : addresses.value_or(std::vector<Address>())) {
      texts.push_back(address.prefix.ToString());
    }
    return texts;
  }
  void ExpectNothingLeft() {
    EXPECT_THAT(world_.Interfaces(), IsEmpty());
    EXPECT_THAT(world_.Leases(), IsEmpty());
    EXPECT_EQ(world_.Ruleset(), "");
  }

  PluginWorld world_;
  TestNetns outside_;
};

TEST_F(PtpAddKernelTest, MakesTheDocumentedLink) {
  const std::string pod = world_.AddPod("a");
  PluginAnswer answer = Add(pod, PtpJson(world_, kSubnet4, "\"mtu\": 1400"));

  const std::string host = answer.json["interfaces"][0]["name"];
  ASSERT_OK_AND_ASSIGN(Link node_end, world_.node_link().GetLink(host));
  Netlink inside = world_.PodLink(pod);
  ASSERT_OK_AND_ASSIGN(Link pod_end, inside.GetLink("eth0"));
  EXPECT_EQ(answer.json["interfaces"][0]["mac"], node_end.mac->ToString());
  EXPECT_EQ(answer.json["interfaces"][1],
            (Json{{"name", "eth0"},
                  {"mac", pod_end.mac->ToString()},
                  {"sandbox", pod}}));
  EXPECT_EQ(answer.json["ips"][0], (Json{{"interface", 1},
                                         {"address", "172.16.28.2/24"},
                                         {"gateway", "172.16.28.1"}}));
  EXPECT_TRUE(node_end.up);
  EXPECT_TRUE(pod_end.up);
  EXPECT_EQ(pod_end.mtu, 1400u);
  EXPECT_EQ(node_end.alias, "pod-1 eth0");

  LinkRoute gateway{.index = pod_end.index,
                    .destination = Prefix("172.16.28.1/32"),
                    .source = Ip("172.16.28.2"),
                    .scope = 253};
  LinkRoute subnet{.index = pod_end.index,
                   .destination = Prefix(kSubnet4),
                   .gateway = Ip("172.16.28.1"),
                   .source = Ip("172.16.28.2")};
  LinkRoute fallback{.index = pod_end.index,
                     .destination = Prefix("0.0.0.0/0"),
                     .gateway = Ip("172.16.28.1")};
  EXPECT_THAT(*inside.ListRoutes(pod_end.index, AF_INET),
              ::testing::UnorderedElementsAre(gateway, subnet, fallback));
  LinkRoute to_pod{.index = node_end.index,
                   .destination = Prefix("172.16.28.2/32"),
                   .scope = 254};
  EXPECT_THAT(*world_.node_link().ListRoutes(node_end.index, AF_INET),
              ElementsAre(to_pod));
  EXPECT_EQ(Sysctl(world_.node(), "ipv4/ip_forward"), "1\n");
  EXPECT_EQ(Sysctl(world_.node(), "ipv6/conf/" + host + "/accept_ra"), "0\n");
  // Of IPv6 the node's end has nothing, not even a link-local address.
  EXPECT_THAT(AddressesOf(node_end), ElementsAre("172.16.28.1/32"));
  EXPECT_EQ(world_.Ruleset(), "");
}

TEST_F(PtpAddKernelTest, Ipv6WorksAtOnce) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  Add(a, PtpJson(world_, kSubnet6), "pod-a");
  Add(b, PtpJson(world_, kSubnet6), "pod-b");
  // No address was ever tentative, so nothing has to be waited for.
  EXPECT_THAT(ConnectAndSeePeer(world_.pod(a), world_.pod(b), Ip("fd00:28::3")),
              IsOk());
  EXPECT_EQ(Sysctl(world_.node(), "ipv6/conf/all/forwarding"), "1\n");
  for (const std::string& name : world_.Interfaces()) {
    ASSERT_OK_AND_ASSIGN(Link link, world_.node_link().GetLink(name));
    EXPECT_THAT(AddressesOf(link), Contains(StartsWith("fe80:")));
  }
  EXPECT_EQ(Sysctl(world_.pod(a), "ipv6/conf/eth0/keep_addr_on_down"), "1\n");
}

TEST_F(PtpAddKernelTest, PodsReachGatewayAndEachOtherUnderTheirOwnAddresses) {
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  Add(a, PtpJson(world_, kSubnet4, "\"ipMasq\": true"), "pod-a");
  Add(b, PtpJson(world_, kSubnet4, "\"ipMasq\": true"), "pod-b");
  ASSERT_OK_AND_ASSIGN(
      std::string at_gateway,
      ConnectAndSeePeer(world_.pod(a), world_.node(), Ip("172.16.28.1")));
  EXPECT_EQ(at_gateway, "172.16.28.2");
  ASSERT_OK_AND_ASSIGN(
      std::string at_pod,
      ConnectAndSeePeer(world_.pod(a), world_.pod(b), Ip("172.16.28.3")));
  EXPECT_EQ(at_pod, "172.16.28.2");
  ASSERT_OK_AND_ASSIGN(
      std::string from_node,
      ConnectAndSeePeer(world_.node(), world_.pod(b), Ip("172.16.28.3")));
  EXPECT_EQ(from_node, "172.16.28.1");
}

TEST_F(PtpAddKernelTest, MasqueradeIsSeenOutside) {
  ConnectOutside(world_, outside_, {kSubnet4, kSubnet6});
  const std::string plain = world_.AddPod("plain");
  const std::string masked = world_.AddPod("masked");
  std::string ranges = absl::StrCat(
      R"("ipam": {"type": "host-local", "dataDir": ")", world_.data_dir(),
      R"(", "ranges": [[{"subnet": ")", kSubnet4, R"("}], [{"subnet": ")",
      kSubnet6, R"("}]], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}})");
  std::string head = R"({"cniVersion": "1.0.0", "name": "net", )";
  Add(plain, head + ranges, "pod-plain");
  Add(masked, head + R"("ipMasq": true, )" + ranges, "pod-masked");

  struct Case {
    const TestNetns& client;
    const char* server;
    const char* seen;
  };
  for (const Case& c :
       {Case{world_.pod(plain), "192.0.2.2", "172.16.28.2"},
        Case{world_.pod(masked), "192.0.2.2", "192.0.2.1"},
        Case{world_.pod(plain), "2001:db8::2", "fd00:28::2"},
        Case{world_.pod(masked), "2001:db8::2", "2001:db8::1"}}) {
    absl::StatusOr<std::string> seen =
        ConnectAndSeePeer(c.client, outside_, Ip(c.server));
    ASSERT_THAT(seen, IsOk());
    EXPECT_EQ(*seen, c.seen) << c.server;
  }
  // And the way in is open.
  ASSERT_OK_AND_ASSIGN(
      std::string inward,
      ConnectAndSeePeer(outside_, world_.pod(masked), Ip("172.16.28.3")));
  EXPECT_EQ(inward, "192.0.2.2");
}

TEST_F(PtpAddKernelTest, DnsMacAndOldVersions) {
  const std::string pod = world_.AddPod("a");
  PluginCall call{"ADD",
                  PtpJson(world_, kSubnet4,
                          R"("dns": {"nameservers": ["10.0.0.53"]})", "0.2.0"),
                  pod};
  call.args = "IgnoreUnknown=1;MAC=02:00:00:00:00:99;K8S_POD_NAME=web";
  PluginAnswer answer = world_.Run("ptp", call);
  ASSERT_EQ(answer.exit_code, 0) << answer.out;
  EXPECT_EQ(answer.json["ip4"]["ip"], "172.16.28.2/24");
  EXPECT_EQ(answer.json["dns"]["nameservers"][0], "10.0.0.53");
  EXPECT_EQ(world_.PodLink(pod).GetLink("eth0")->mac->ToString(),
            "02:00:00:00:00:99");
}

TEST_F(PtpAddKernelTest, RoutesWithForeignGatewaysAndAttributes) {
  const std::string pod = world_.AddPod("a");
  std::string config = absl::StrCat(
      R"({"cniVersion": "1.1.0", "name": "net", "ipam": {"type": "host-local",
          "subnet": "172.16.28.0/24", "dataDir": ")",
      world_.data_dir(),
      R"(", "routes": [{"dst": "10.0.0.0/8", "gw": "172.16.28.77"},
          {"dst": "10.9.0.0/16", "priority": 9, "table": 700,
           "mtu": 1300}]}})");
  Add(pod, config);
  Netlink inside = world_.PodLink(pod);
  const int index = inside.GetLink("eth0")->index;
  ASSERT_OK_AND_ASSIGN(auto routes, inside.ListRoutes(index, AF_INET));
  LinkRoute foreign{.index = index,
                    .destination = Prefix("10.0.0.0/8"),
                    .gateway = Ip("172.16.28.77"),
                    .on_link = true};
  LinkRoute special{.index = index,
                    .destination = Prefix("10.9.0.0/16"),
                    .gateway = Ip("172.16.28.1"),
                    .table = 700,
                    .priority = 9,
                    .mtu = 1300};
  EXPECT_THAT(routes, Contains(foreign));
  EXPECT_THAT(routes, Contains(special));
}

TEST_F(PtpAddKernelTest, CheckFindsWhatIsMissing) {
  const std::string pod = world_.AddPod("a");
  const std::string config = PtpJson(world_, kSubnet4, "\"ipMasq\": true");
  PluginAnswer answer = Add(pod, config);
  PluginCall check{"CHECK", WithPrevResult(config, answer.json), pod};
  ASSERT_EQ(world_.Run("ptp", check).out, "");

  PluginCall bare = check;
  bare.config = config;
  EXPECT_EQ(Error(bare), "ptp: Required prevResult missing");
  PluginCall stranger = check;
  stranger.container_id = "pod-2";
  EXPECT_THAT(Error(stranger), HasSubstr("Failed to find address added by"));
  auto with = [&](const char* pointer, const std::string& value) {
    Json altered = answer.json;
    altered[Json::json_pointer(pointer)] = value;
    PluginCall call = check;
    call.config = WithPrevResult(config, altered);
    return Error(call);
  };
  EXPECT_THAT(with("/interfaces/1/mac", "02:00:00:00:00:01"),
              HasSubstr("not 02:00:00:00:00:01"));
  EXPECT_THAT(with("/interfaces/1/sandbox", "/other"),
              HasSubstr("no interface \"eth0\" in sandbox"));
  EXPECT_THAT(with("/ips/0/address", "172.16.28.3/24"),
              HasSubstr("lacks address 172.16.28.3/24"));
  EXPECT_THAT(with("/routes/0/dst", "10.0.0.0/8"),
              HasSubstr("lacks the route to 10.0.0.0/8"));
  EXPECT_THAT(with("/interfaces/0/name", "veth-none"),
              HasSubstr("RTM_GETLINK \"veth-none\""));

  Netlink inside = world_.PodLink(pod);
  ASSERT_THAT(inside.SetLinkUp(inside.GetLink("eth0")->index, false), IsOk());
  EXPECT_THAT(Error(check), HasSubstr("lacks the route to 172.16.28.0/24"));
}

TEST_F(PtpAddKernelTest, CheckFindsMissingMasquerade) {
  const std::string pod = world_.AddPod("a");
  PluginAnswer answer = Add(pod, PtpJson(world_, kSubnet4));
  EXPECT_EQ(Error({"CHECK",
                   WithPrevResult(PtpJson(world_, kSubnet4, "\"ipMasq\": true"),
                                  answer.json),
                   pod}),
            "172.16.28.2 is not masqueraded");
}

TEST_F(PtpAddKernelTest, ASecondAddIsRefusedAndHarmsNothing) {
  const std::string pod = world_.AddPod("a"), other = world_.AddPod("b");
  const std::string config = PtpJson(world_, kSubnet4, "\"ipMasq\": true");
  PluginAnswer answer = Add(pod, config);
  EXPECT_THAT(Error({"ADD", config, pod}),
              HasSubstr("interface \"eth0\" already exists in netns"));
  EXPECT_THAT(Error({"ADD", config, pod, "pod-2"}),
              HasSubstr("interface \"eth0\" already exists in netns"));
  EXPECT_THAT(Error({"ADD", config, other}),
              HasSubstr("duplicate allocation is not allowed"));
  EXPECT_THAT(world_.Leases(), ElementsAre("172.16.28.2"));
  EXPECT_EQ(
      world_.Run("ptp", {"CHECK", WithPrevResult(config, answer.json), pod})
          .exit_code,
      0);
}

TEST_F(PtpAddKernelTest, FailuresLeaveNothing) {
  const std::string pod = world_.AddPod("a");
  const std::string good = PtpJson(world_, kSubnet4, "\"ipMasq\": true");
  auto with_ipam = [&](const char* key, const Json& value) {
    Json config = Json::parse(good);
    config["ipam"][key] = value;
    return config.dump();
  };
  EXPECT_THAT(Error({"ADD", with_ipam("type", "nonesuch"), pod}),
              HasSubstr("failed to find plugin \"nonesuch\" in path"));
  EXPECT_THAT(Error({"ADD", with_ipam("type", "../ptp"), pod}),
              HasSubstr("invalid plugin name"));
  EXPECT_THAT(Error({"ADD", good, world_.path("none")}),
              HasSubstr("failed to open netns"));
  EXPECT_THAT(Error({"ADD", good, world_.our_plugins() + "/ptp"}),
              HasSubstr("not a network namespace"));
  EXPECT_THAT(Error({"ADD", good, "/proc/self/ns/mnt"}),
              HasSubstr("not a network namespace"));
  ExpectNothingLeft();
  // After the link has been made:
  EXPECT_THAT(
      Error({"ADD", with_ipam("routes", Json::parse(R"([{"dst": "10.0.0.0/8"},
                                                 {"dst": "10.0.0.0/8"}])")),
             pod}),
      HasSubstr("route 10.0.0.0/8 of IPAM: RTM_NEWROUTE 10.0.0.0/8"));
  EXPECT_THAT(
      Error({"ADD", with_ipam("routes", Json::parse(R"([{"dst": "10.0.0.0/8",
                                                          "scope": 300}])")),
             pod}),
      HasSubstr("scope: 300 is not in 0..255"));
  ExpectNothingLeft();
  EXPECT_FALSE(world_.PodLink(pod).GetLink("eth0").ok());
  Add(pod, good);
}

TEST_F(PtpAddKernelTest, FailuresOnTheNodeLeaveNothing) {
  const std::string pod = world_.AddPod("a"), other = world_.AddPod("b");
  // The route of a stranger to the address that IPAM will choose.
  const std::string config = PtpJson(world_, kSubnet4);
  Add(other, config, "pod-other");
  ASSERT_THAT(RemoveFile(world_.data_dir() + "/net/172.16.28.2"), IsOk());
  ASSERT_THAT(RemoveFile(world_.data_dir() + "/net/last_reserved_ip.0"),
              IsOk());
  EXPECT_THAT(Error({"ADD", config, pod}),
              HasSubstr("RTM_NEWROUTE 172.16.28.2/32"));
  EXPECT_THAT(world_.Leases(), IsEmpty());
  EXPECT_THAT(world_.Interfaces(), SizeIs(1));
}

TEST_F(PtpAddKernelTest, AnIpamResultWithoutGatewayIsUndone) {
  const std::string pod = world_.AddPod("a");
  const std::string config = R"({"cniVersion": "1.0.0", "name": "net",
      "ipam": {"type": "static", "addresses": [{"address": "10.0.0.2/24"}]}})";
  PluginAnswer answer =
      world_.Run(world_.our_plugins() + "/ptp", PluginWorld::kGoPlugins,
                 {"ADD", config, pod});
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.json["msg"],
            "IPAM plugin returned no gateway for 10.0.0.2/24, which ptp needs");
  ExpectNothingLeft();
}

TEST_F(PtpAddKernelTest, TheNodesOwnNamespaceIsRefused) {
  const std::string path =
      absl::StrCat("/proc/", getpid(), "/fd/", world_.node().fd());
  PluginAnswer answer =
      world_.Run("ptp", {"ADD", PtpJson(world_, kSubnet4), path});
  EXPECT_EQ(answer.json["code"], 8);
  ExpectNothingLeft();
}

TEST_F(PtpAddKernelTest, FiftyParallelAddsAndDels) {
  constexpr int kPods = 50;
  const std::string config = PtpJson(world_, kSubnet4, "\"ipMasq\": true");
  std::vector<std::string> pods;
  for (int i = 0; i < kPods; ++i) {
    pods.push_back(world_.AddPod(absl::StrCat("p", i)));
  }
  std::vector<PluginAnswer> answers(kPods);
  auto run_all = [&](const std::string& command) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kPods; ++i) {
      threads.emplace_back([&, i] {
        answers[i] = world_.Run(
            "ptp", {command, config, pods[i], absl::StrCat("pod-", i)});
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  run_all("ADD");
  std::set<std::string> addresses;
  for (const PluginAnswer& answer : answers) {
    ASSERT_EQ(answer.exit_code, 0) << answer.out;
    addresses.insert(answer.json["ips"][0]["address"].get<std::string>());
  }
  EXPECT_THAT(addresses, SizeIs(kPods));
  EXPECT_THAT(world_.Interfaces(), SizeIs(kPods));
  EXPECT_THAT(world_.Leases(), SizeIs(kPods));
  run_all("DEL");
  for (const PluginAnswer& answer : answers) {
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
  }
  ExpectNothingLeft();
}

}  // namespace
}  // namespace davit
