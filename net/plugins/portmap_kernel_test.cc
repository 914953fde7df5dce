// portmap by the built binary, chained after our ptp and after Go's bridge,
// with real traffic, in namespaces of the test's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/plugins/plugin_world.h"
#include "net/plugins/traffic.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::Client;
using ::davit::testing::IsOk;
using ::davit::testing::NamingServer;
using ::davit::testing::PluginAnswer;
using ::davit::testing::PluginCall;
using ::davit::testing::PluginWorld;
using ::davit::testing::TestNetns;
using ::davit::testing::Transport;
using ::davit::testing::WithPrevResult;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }
IpPrefix Prefix(absl::string_view text) { return *IpPrefix::Parse(text); }

constexpr char kNode4[] = "192.0.2.1";
constexpr char kNode6[] = "2001:db8::1";
constexpr char kWeb[] = R"([{"hostPort": 8080, "containerPort": 80,
                             "protocol": "tcp"}])";

class PortmapKernelTest : public ::testing::Test {
 protected:
  PortmapKernelTest() { AddOutside(); }
  ~PortmapKernelTest() override {
    EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("hostports")));
  }

  // A dual-stack pod at 172.16.28.N and fd00:28::N by our ptp, or by Go's
  // bridge; returns its prevResult.
  Json Connect(const std::string& netns, const std::string& id,
               bool bridge = false) {
    PluginCall call{"ADD", LinkJson(bridge), netns, id};
    PluginAnswer answer = RunLink(call, bridge);
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return answer.json;
  }
  PluginAnswer RunLink(const PluginCall& call, bool bridge) {
    return bridge ? world_.Run(absl::StrCat(PluginWorld::kGoPlugins, "/bridge"),
                               PluginWorld::kGoPlugins, call)
                  : world_.Run("ptp", call);
  }
  std::string LinkJson(bool bridge) {
    return absl::StrFormat(
        R"({"cniVersion": "1.0.0", "name": "net", %s, "ipMasq": %s,
            "ipam": {"type": "host-local", "dataDir": "%s",
             "ranges": [[{"subnet": "172.16.28.0/24"}],
                        [{"subnet": "fd00:28::/64"}]],
             "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}})",
        bridge ? R"("type": "bridge", "bridge": "br7", "isGateway": true,
                    "hairpinMode": true)"
               : R"("type": "ptp")",
        bridge ? "false" : "true", world_.data_dir());
  }
  static std::string Config(const Json& previous, const std::string& mappings,
                            const std::string& more = "") {
    return WithPrevResult(
        absl::StrFormat(
            R"({"cniVersion": "1.0.0", "name": "net", "type": "portmap", %s
                "runtimeConfig": {"portMappings": %s}})",
            more.empty() ? "" : more + ",", mappings),
        previous);
  }
  PluginAnswer Map(const std::string& netns, const std::string& id,
                   const std::string& config) {
    return world_.Run("portmap", {"ADD", config, netns, id});
  }
  void Unmap(const std::string& id) {
    PluginAnswer answer = world_.Run(
        "portmap",
        {"DEL", R"({"cniVersion": "1.0.0", "name": "net"})", "", id});
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
  }
  // A connected pod with these mappings.
  std::string AddMappedPod(const std::string& id, const std::string& mappings,
                           const std::string& more = "", bool bridge = false) {
    std::string pod = world_.AddPod(id);
    PluginAnswer answer =
        Map(pod, id, Config(Connect(pod, id, bridge), mappings, more));
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
    return pod;
  }
  std::string Nft(std::vector<std::string> words) {
    SubprocessSpec nft;
    nft.path = "/usr/sbin/nft";
    nft.argv = std::move(words);
    nft.argv.insert(nft.argv.begin(), "nft");
    nft.netns_fd = world_.node().fd();
    absl::StatusOr<SubprocessResult> result = RunSubprocess(nft);
    EXPECT_TRUE(result.ok() && result->ExitedWith(0)) << result->err;
    return result.ok() ? result->out : "";
  }

  void SetSysctl(const std::string& name, const std::string& value) {
    ASSERT_THAT(world_.node().Run([&] {
      return WriteKernelFile("/proc/sys/net/" + name, value);
    }),
                IsOk());
  }

  // A neighbour of the node, 192.0.2.2, that knows no way to the pods.
  void AddOutside() {
    // Go's bridge has its address tested for duplicates, for a second or two.
    SetSysctl("ipv6/conf/default/accept_dad", "0");
    ASSERT_THAT(
        world_.node_link().AddVethPair({.name = "up0",
                                        .peer_name = "eth0",
                                        .peer_netns_fd = outside_.fd()}),
        IsOk());
    Netlink outside = *Netlink::OpenIn(outside_.fd());
    const int there = outside.GetLink("eth0")->index;
    const int here = world_.node_link().GetLink("up0")->index;
    for (const char* net : {"192.0.2.", "2001:db8::"}) {
      std::string length = net[3] == '.' ? "/24" : "/64";
      ASSERT_THAT(world_.node_link().AddAddress(
                      {here, Prefix(net + ("1" + length)), false, true}),
                  IsOk());
      ASSERT_THAT(outside.AddAddress(
                      {there, Prefix(net + ("2" + length)), false, true}),
                  IsOk());
    }
    ASSERT_THAT(world_.node_link().SetLinkUp(here, true), IsOk());
    ASSERT_THAT(outside.SetLinkUp(there, true), IsOk());
  }

  PluginWorld world_;
  TestNetns outside_;
};

// Who asks, at which of the node's addresses, and as whom the pod sees it.
class Reach : public PortmapKernelTest,
              public ::testing::WithParamInterface<
                  std::tuple<bool /*bridge*/, Transport>> {};

TEST_P(Reach, FromEverywhere) {
  const auto [bridge, transport] = GetParam();
  const std::string protocol = transport == Transport::kTcp ? "tcp" : "udp";
  const std::string mappings = absl::StrFormat(
      R"([{"hostPort": 8080, "containerPort": 80, "protocol": "%s"}])",
      protocol);
  // Bridged packets stay out of IP's hooks; see BridgedPackets below.
  for (const char* name : {"iptables", "ip6tables"}) {
    SetSysctl(absl::StrCat("bridge/bridge-nf-call-", name), "0");
  }
  const std::string pod = AddMappedPod("pod-1", mappings, "", bridge);
  const std::string other = world_.AddPod("other");
  Connect(other, "pod-2", bridge);
  NamingServer server4(world_.pod(pod), transport, false, 80, "web");
  NamingServer server6(world_.pod(pod), transport, true, 80, "web");

  const TestNetns& node = world_.node();
  struct Row {
    const char* who;
    const TestNetns& from;
    const char* address;
    std::string seen_as;
  } rows[] = {
      {"outside", outside_, kNode4, "192.0.2.2"},
      {"outside, IPv6", outside_, kNode6, "2001:db8::2"},
      {"node", node, kNode4, "192.0.2.1"},
      {"node, IPv6", node, kNode6, "2001:db8::1"},
      {"node by 127.0.0.1", node, "127.0.0.1", "172.16.28.1"},
      {"other pod", world_.pod(other), kNode4,
       bridge ? "172.16.28.1" : "172.16.28.3"},
      {"other pod, IPv6", world_.pod(other), kNode6,
       bridge ? "fd00:28::1" : "fd00:28::3"},
      {"itself", world_.pod(pod), kNode4, "172.16.28.1"},
      {"itself, IPv6", world_.pod(pod), kNode6, "fd00:28::1"},
      {"itself by the gateway", world_.pod(pod), "172.16.28.1", "172.16.28.1"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.who);
    absl::StatusOr<std::string> answer =
        Client(row.from, transport).Ask(row.address, 8080);
    ASSERT_THAT(answer.status(), IsOk());
    EXPECT_EQ(*answer, "web " + row.seen_as);
  }
  // The pod's own port is reached as ever, and under the true address.
  EXPECT_EQ(Client(node, transport).Ask("172.16.28.2", 80).value_or("-"),
            "web 172.16.28.1");
  Unmap("pod-1");
  EXPECT_FALSE(Client(outside_, transport).Ask(kNode4, 8080).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Links, Reach,
    ::testing::Combine(::testing::Bool(),
                       ::testing::Values(Transport::kTcp, Transport::kUdp)),
    [](const auto& info) {
      return absl::StrCat(
          std::get<0>(info.param) ? "GoBridge" : "Ptp",
          std::get<1>(info.param) == Transport::kTcp ? "Tcp" : "Udp");
    });

TEST_F(PortmapKernelTest, BridgedPacketsReachThePodWhenIpSeesThem) {
  for (const char* name : {"iptables", "ip6tables"}) {
    SetSysctl(absl::StrCat("bridge/bridge-nf-call-", name), "1");
  }
  const std::string pod = AddMappedPod("pod-1", kWeb, "", /*bridge=*/true);
  const std::string other = world_.AddPod("other");
  Connect(other, "pod-2", /*bridge=*/true);
  for (bool v6 : {false, true}) {
    NamingServer server(world_.pod(pod), Transport::kTcp, v6, 80, "web");
    const char* node = v6 ? kNode6 : kNode4;
    EXPECT_THAT(Client(world_.pod(other), Transport::kTcp)
                    .Ask(node, 8080)
                    .value_or("-"),
                StartsWith("web "));
    EXPECT_EQ(
        Client(world_.pod(pod), Transport::kTcp).Ask(node, 8080).value_or("-"),
        v6 ? "web fd00:28::1" : "web 172.16.28.1");
  }
  Unmap("pod-1");
}

// So that clients of "localhost", who try it first, go on to 127.0.0.1.
TEST_F(PortmapKernelTest, TheLoopbackAddressOfIpv6RefusesAtOnce) {
  AddMappedPod("pod-1", kWeb);
  EXPECT_THAT(Client(world_.node(), Transport::kTcp)
                  .Ask("::1", 8080)
                  .status()
                  .ToString(),
              HasSubstr("refused"));
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, HostIpLimitsTheMappingToOneAddress) {
  const std::string pod = AddMappedPod(
      "pod-1", R"([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp",
                    "hostIP": "127.0.0.1"},
                   {"hostPort": 8081, "containerPort": 80, "protocol": "tcp",
                    "hostIP": "192.0.2.1"},
                   {"hostPort": 8082, "containerPort": 80, "protocol": "tcp",
                    "hostIP": "0.0.0.0"}])");
  NamingServer server(world_.pod(pod), Transport::kTcp, false, 80, "web");
  NamingServer server6(world_.pod(pod), Transport::kTcp, true, 80, "web");
  Client node(world_.node(), Transport::kTcp);
  Client outside(outside_, Transport::kTcp);
  EXPECT_THAT(node.Ask("127.0.0.1", 8080), IsOk());
  EXPECT_FALSE(outside.Ask(kNode4, 8080).ok());
  EXPECT_THAT(outside.Ask(kNode4, 8081), IsOk());
  EXPECT_FALSE(node.Ask("127.0.0.1", 8081).ok());
  EXPECT_THAT(outside.Ask(kNode4, 8082), IsOk());
  EXPECT_FALSE(outside.Ask(kNode6, 8082).ok());
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, RangesMapPortByPort) {
  const std::string pod =
      AddMappedPod("pod-1", R"([{"hostPort": 20000, "containerPort": 1000,
                    "protocol": "tcp", "range": 3000}])");
  NamingServer first(world_.pod(pod), Transport::kTcp, false, 1000, "first");
  NamingServer last(world_.pod(pod), Transport::kTcp, false, 3999, "last");
  Client outside(outside_, Transport::kTcp);
  EXPECT_EQ(outside.Ask(kNode4, 20000).value_or("-"), "first 192.0.2.2");
  EXPECT_EQ(outside.Ask(kNode4, 22999).value_or("-"), "last 192.0.2.2");
  EXPECT_FALSE(outside.Ask(kNode4, 23000).ok());
  Unmap("pod-1");
  EXPECT_THAT(Nft({"list", "ruleset"}), Not(HasSubstr("20000")));
}

TEST_F(PortmapKernelTest, SctpIsMapped) {
  const std::string pod =
      AddMappedPod("pod-1", R"([{"hostPort": 8080, "containerPort": 80,
                    "protocol": "SCTP"}])");
  EXPECT_THAT(
      Nft({"list", "ruleset"}),
      HasSubstr("sctp . 8080 comment \"pod-1 eth0\" : 172.16.28.2 . 80"));
  Unmap("pod-1");
  UniqueFd sctp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
  if (!sctp.valid()) {
    GTEST_SKIP() << "needs a kernel with SCTP sockets (CONFIG_IP_SCTP) to "
                    "send traffic; the element has been checked";
  }
}

TEST_F(PortmapKernelTest, MasqAllHidesEveryClient) {
  const std::string pod = AddMappedPod("pod-1", kWeb, R"("masqAll": true)");
  NamingServer server(world_.pod(pod), Transport::kTcp, false, 80, "web");
  EXPECT_EQ(Client(outside_, Transport::kTcp).Ask(kNode4, 8080).value_or("-"),
            "web 172.16.28.1");
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, WithoutSnatOnlyThoseOutsideGetThrough) {
  const std::string pod = AddMappedPod("pod-1", kWeb, R"("snat": false)");
  NamingServer server(world_.pod(pod), Transport::kTcp, false, 80, "web");
  EXPECT_EQ(Client(outside_, Transport::kTcp).Ask(kNode4, 8080).value_or("-"),
            "web 192.0.2.2");
  EXPECT_FALSE(
      Client(world_.node(), Transport::kTcp).Ask("127.0.0.1", 8080).ok());
  EXPECT_THAT(Nft({"list", "ruleset"}), Not(HasSubstr("goto masq_near4 }")));
  Unmap("pod-1");
}

// route_localnet alone would open it (CVE-2020-8558).
TEST_F(PortmapKernelTest, PodsDoNotReachWhatListensOnTheNodesLoopback) {
  const std::string pod = AddMappedPod("pod-1", kWeb);
  NamingServer private_server(world_.node(), Transport::kUdp, false, 5000,
                              "private");
  Netlink inside = world_.PodLink(pod);
  // As an attacker with CAP_NET_ADMIN in the pod would.
  ASSERT_THAT(world_.pod(pod).Run([]() -> absl::Status {
    return WriteKernelFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1");
  }),
              IsOk());
  LinkRoute route;
  route.index = inside.GetLink("eth0")->index;
  route.destination = Prefix("127.0.0.9/32");
  route.gateway = Ip("172.16.28.1");
  route.source = Ip("172.16.28.2");
  // The pod's own local table would keep 127.0.0.9 inside: take lo down.
  ASSERT_THAT(inside.SetLinkUp(inside.GetLink("lo")->index, false), IsOk());
  ASSERT_THAT(inside.AddRoute(route), IsOk());
  EXPECT_FALSE(
      Client(world_.pod(pod), Transport::kUdp).Ask("127.0.0.9", 5000).ok());
  EXPECT_THAT(Nft({"list", "ruleset"}),
              HasSubstr("iif != \"lo\" ip daddr 127.0.0.0/8 drop"));
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, APortOfAnotherPodIsRefusedByItsName) {
  AddMappedPod("pod-1", kWeb);
  const std::string before = world_.Ruleset();
  const std::string pod = world_.AddPod("b");
  const Json previous = Connect(pod, "pod-2");
  const std::string connected = world_.Ruleset();
  for (const char* mapping :
       {kWeb, R"([{"hostPort": 9000, "containerPort": 1, "protocol": "udp"},
                  {"hostPort": 8080, "containerPort": 80, "protocol": "tcp",
                   "hostIP": "192.0.2.1"}])"}) {
    PluginAnswer answer = Map(pod, "pod-2", Config(previous, mapping));
    EXPECT_EQ(answer.exit_code, 1);
    EXPECT_EQ(answer.json["code"], 999);
    EXPECT_THAT(answer.json["msg"].get<std::string>(),
                HasSubstr("is taken: container \"pod-1 eth0\" has tcp *:8080"));
    EXPECT_EQ(world_.Ruleset(), connected);
  }
  // Another protocol or port is free; the same owner may ask again.
  EXPECT_EQ(Map(pod, "pod-2",
                Config(previous, R"([{"hostPort": 8080, "containerPort": 80,
                                      "protocol": "udp"}])"))
                .exit_code,
            0);
  EXPECT_EQ(Map(pod, "pod-2",
                Config(previous, R"([{"hostPort": 8080, "containerPort": 81,
                                      "protocol": "udp"}])"))
                .exit_code,
            0);
  EXPECT_THAT(
      world_.Ruleset(),
      HasSubstr("udp . 8080 comment \"pod-2 eth0\" : 172.16.28.3 . 81"));
  Unmap("pod-2");
  EXPECT_THAT(world_.Ruleset(), HasSubstr("tcp . 8080"));
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, APortOfAProcessIsRefusedByItsNameAndPid) {
  const std::string pod = world_.AddPod("a");
  const Json previous = Connect(pod, "pod-1");
  const std::string me =
      absl::StrCat("portmap_kernel_ (pid ", getpid(), ") listens on ");
  for (const auto& [transport, v6, listens] :
       {std::tuple(Transport::kTcp, false, "0.0.0.0:8080"),
        std::tuple(Transport::kTcp, true, "[::]:8080"),
        std::tuple(Transport::kUdp, false, "0.0.0.0:8080")}) {
    NamingServer server(world_.node(), transport, v6, 8080, "mine");
    const std::string mapping = absl::StrFormat(
        R"([{"hostPort": 8080, "containerPort": 80, "protocol": "%s"}])",
        transport == Transport::kTcp ? "tcp" : "udp");
    const std::string before = world_.Ruleset();
    PluginAnswer answer = Map(pod, "pod-1", Config(previous, mapping));
    EXPECT_EQ(answer.exit_code, 1);
    EXPECT_THAT(answer.json["msg"].get<std::string>(), HasSubstr(me + listens));
    EXPECT_EQ(world_.Ruleset(), before);
    // Unless it is not to be looked at.
    EXPECT_EQ(Map(pod, "pod-1",
                  Config(previous, mapping, R"("checkHostPorts": false)"))
                  .exit_code,
              0);
    Unmap("pod-1");
  }
  // UDP beside TCP is no conflict.
  NamingServer server(world_.node(), Transport::kUdp, false, 8080, "mine");
  EXPECT_EQ(Map(pod, "pod-1", Config(previous, kWeb)).exit_code, 0);
  Unmap("pod-1");
}

TEST_F(PortmapKernelTest, UdpFlowsFollowTheMapping) {
  const std::string dns = R"([{"hostPort": 53, "containerPort": 5353,
                               "protocol": "udp"}])";
  const Client client(outside_, /*from_port=*/40000);
  // A flow from before any mapping: to the node itself, unanswered.
  EXPECT_FALSE(client.Ask(kNode4, 53).ok());
  const std::string a = AddMappedPod("pod-1", dns);
  {
    NamingServer server(world_.pod(a), Transport::kUdp, false, 5353, "a");
    EXPECT_EQ(client.Ask(kNode4, 53).value_or("-"), "a 192.0.2.2");
    // The mapping moves to another pod while the client keeps its port.
    Unmap("pod-1");
    NamingServer on_node(world_.node(), Transport::kUdp, false, 53, "node");
    EXPECT_EQ(client.Ask(kNode4, 53).value_or("-"), "node 192.0.2.2");
  }
  const std::string b = AddMappedPod("pod-2", dns);
  NamingServer server(world_.pod(b), Transport::kUdp, false, 5353, "b");
  EXPECT_EQ(client.Ask(kNode4, 53).value_or("-"), "b 192.0.2.2");
  Unmap("pod-2");
}

TEST_F(PortmapKernelTest, UdpFlowsThroughTheNodeToOtherHostsStay) {
  const std::string client = world_.AddPod("client");
  Connect(client, "pod-9");  // masqueraded
  NamingServer resolver(outside_, Transport::kUdp, false, 53, "resolver");
  const Client asking(world_.pod(client), /*from_port=*/40001);
  ASSERT_EQ(asking.Ask("192.0.2.2", 53).value_or("-"), "resolver 192.0.2.1");
  auto tracked = [&] {
    std::string table;
    EXPECT_THAT(world_.node().Run([&]() -> absl::Status {
      table = ReadFile("/proc/thread-self/net/nf_conntrack").value_or("");
      return absl::OkStatus();
    }),
                IsOk());
    return table;
  };
  const std::string before = tracked();
  if (before.empty()) {
    GTEST_SKIP() << "needs /proc/net/nf_conntrack (CONFIG_NF_CONNTRACK_PROCFS)";
  }
  EXPECT_THAT(before, HasSubstr("dst=192.0.2.2 sport=40001 dport=53"));
  AddMappedPod("pod-1", R"([{"hostPort": 53, "containerPort": 53,
                             "protocol": "udp"}])");
  EXPECT_THAT(tracked(), HasSubstr("dst=192.0.2.2 sport=40001 dport=53"));
  Unmap("pod-1");
  EXPECT_THAT(tracked(), HasSubstr("dst=192.0.2.2 sport=40001 dport=53"));
}

TEST_F(PortmapKernelTest, TheTableGoesWithTheLastElement) {
  Nft({"add", "table", "inet", "theirs"});
  const std::string a = AddMappedPod("pod-1", kWeb);
  const std::string b = AddMappedPod(
      "pod-2",
      R"([{"hostPort": 9090, "containerPort": 80, "protocol": "tcp"}])");
  Unmap("pod-1");
  Unmap("pod-1");  // again
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("8080")));
  EXPECT_THAT(world_.Ruleset(), HasSubstr("9090"));
  Unmap("pod-2");
  // Masquerading still needs the table.
  EXPECT_THAT(world_.Ruleset(), HasSubstr("table inet davit"));
  for (const auto& [netns, id] :
       {std::pair(a, "pod-1"), std::pair(b, "pod-2")}) {
    PluginCall call{"DEL", LinkJson(false), netns, id};
    EXPECT_EQ(world_.Run("ptp", call).exit_code, 0);
  }
  EXPECT_EQ(world_.Ruleset(), "table inet theirs {\n}\n");
}

TEST_F(PortmapKernelTest, PassesPrevResultOnInTheRequestedVersion) {
  const std::string pod = world_.AddPod("a");
  const Json previous = Connect(pod, "pod-1");
  PluginAnswer answer = Map(pod, "pod-1", Config(previous, kWeb));
  EXPECT_EQ(answer.json, previous);
  // Nothing to map: nothing is done.
  const std::string before = world_.Ruleset();
  Unmap("pod-1");
  answer = Map(pod, "pod-1", Config(previous, "[]"));
  EXPECT_EQ(answer.json, previous);
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("8080")));
  answer = world_.Run("portmap",
                      {"ADD", R"({"cniVersion": "1.0.0", "name": "n"})", pod});
  EXPECT_EQ(answer.json["msg"], "must be called as chained plugin");
  EXPECT_EQ(answer.json["code"], 999);
}

TEST_F(PortmapKernelTest, CheckTellsWhatIsMissing) {
  const std::string pod = AddMappedPod("pod-1", kWeb);
  const Json previous = Json::parse(
      R"({"cniVersion": "1.0.0", "interfaces": [{"name": "eth0",
          "sandbox": "/x"}], "ips": [{"address": "172.16.28.2/24",
          "interface": 0}]})");
  PluginCall call{"CHECK", Config(previous, kWeb), pod, "pod-1"};
  EXPECT_EQ(world_.Run("portmap", call).exit_code, 0);
  Nft({"delete", "element", "inet", "davit", "hairpin4",
       absl::StrCat("{ 172.16.28.2 . ", world_.Interfaces()[1], " }")});
  EXPECT_THAT(world_.Run("portmap", call).out,
              HasSubstr("not in nft set hairpin4"));
  Unmap("pod-1");
  EXPECT_THAT(world_.Run("portmap", call).out,
              HasSubstr("port map tcp *:8080 to 172.16.28.2 port 80 is not in "
                        "nft map ports4"));
}

TEST_F(PortmapKernelTest, ParallelCallsGiveAPortToOneAlone) {
  constexpr int kPods = 8;
  std::vector<std::string> pods;
  std::vector<Json> previous;
  for (int i = 0; i < kPods; ++i) {
    pods.push_back(world_.AddPod(absl::StrCat("p", i)));
    previous.push_back(Connect(pods.back(), absl::StrCat("pod-", i)));
  }
  std::vector<std::thread> threads;
  std::vector<int> exit_codes(kPods);
  for (int i = 0; i < kPods; ++i) {
    threads.emplace_back([&, i] {
      const std::string id = absl::StrCat("pod-", i);
      // Own port and a contended one, which half of them want at one address.
      const std::string mappings = absl::StrFormat(
          R"([{"hostPort": %d, "containerPort": 80, "protocol": "tcp"},
              {"hostPort": 7000, "containerPort": 80, "protocol": "tcp"%s}])",
          8000 + i, i % 2 == 0 ? "" : R"(, "hostIP": "192.0.2.1")");
      exit_codes[i] = Map(pods[i], id, Config(previous[i], mappings)).exit_code;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(exit_codes.begin(), exit_codes.end(), 0), 1);
  for (int i = 0; i < kPods; ++i) {
    EXPECT_EQ(absl::StrContains(world_.Ruleset(),
                                absl::StrFormat("tcp . %d ", 8000 + i)),
              exit_codes[i] == 0)
        << i;
    Unmap(absl::StrCat("pod-", i));
  }
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("tcp . 7000")));
}

}  // namespace
}  // namespace davit
