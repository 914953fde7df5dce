// firewall by the built binary, beside iptables-nft and Go's firewall.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
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
using ::davit::testing::PtpJson;
using ::davit::testing::Transport;
using ::davit::testing::WithPrevResult;
using ::testing::HasSubstr;
using ::testing::Not;

// Rules of a pod and its chains, as iptables -S prints them.
constexpr char kRules4[] =
    R"(-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
-A CNI-FORWARD -d 10.0.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 10.0.0.2/32 -j ACCEPT
)";

class FirewallKernelTest : public ::testing::Test {
 protected:
  std::string Exec(const std::string& path, const std::string& words) {
    SubprocessSpec spec;
    spec.path = path;
    spec.argv = absl::StrSplit(
        absl::StrCat(path.substr(path.rfind('/') + 1), " ", words), ' ');
    spec.netns_fd = world_.node().fd();
    absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
    EXPECT_TRUE(result.ok() && result->ExitedWith(0))
        << words << ": " << (result.ok() ? result->err : "");
    return result.ok() ? result->out + result->err : "";
  }
  std::string Iptables(const std::string& words, bool v6 = false) {
    return Exec(v6 ? "/usr/sbin/ip6tables" : "/usr/sbin/iptables", words);
  }
  // The -A lines of the filter table.
  std::string Rules(bool v6 = false) {
    std::string rules;
    for (absl::string_view line :
         absl::StrSplit(Iptables("-S", v6), '\n', absl::SkipEmpty())) {
      EXPECT_THAT(std::string(line), Not(HasSubstr("incompatible")));
      if (line.substr(0, 2) == "-A") absl::StrAppend(&rules, line, "\n");
    }
    return rules;
  }
  static std::string Config(const std::string& addresses,
                            const std::string& more = "",
                            const std::string& bridge = "br0") {
    return absl::StrFormat(
        R"({"cniVersion": "1.0.0", "name": "net", "type": "firewall", %s
            "prevResult": {"cniVersion": "1.0.0",
              "interfaces": [{"name": "%s"}], "ips": [%s]}})",
        more.empty() ? "" : more + ",", bridge, addresses);
  }
  PluginAnswer Ours(const std::string& command, const std::string& config,
                    const std::string& id = "pod-1") {
    return world_.Run("firewall", {command, config, "/no/such", id, "eth0"});
  }
  PluginAnswer Gos(const std::string& command, const std::string& config,
                   const std::string& id = "pod-1") {
    return world_.Run(absl::StrCat(PluginWorld::kGoPlugins, "/firewall"),
                      PluginWorld::kGoPlugins,
                      {command, config, "/no/such", id, "eth0"});
  }
  void Expect(const PluginAnswer& answer) {
    EXPECT_EQ(answer.exit_code, 0) << answer.out;
  }

  const std::string v4_ = Config(R"({"address": "10.0.0.2/24"})");
  const std::string dual_ =
      Config(R"({"address": "10.0.0.2/24"}, {"address": "fd00::2/64"})");
  const std::string bare_ = R"({"cniVersion": "1.0.0", "name": "net"})";
  PluginWorld world_;
};

TEST_F(FirewallKernelTest, WithoutIptablesOnlyOurOwnTableIsTouched) {
  PluginAnswer answer = Ours("ADD", dual_);
  Expect(answer);
  EXPECT_EQ(answer.json, Json::parse(dual_)["prevResult"]);
  EXPECT_THAT(world_.Ruleset(),
              HasSubstr("elements = { 10.0.0.2 comment \"pod-1 eth0\" }"));
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("table ip ")));
  Expect(Ours("CHECK", dual_));
  Expect(Ours("DEL", bare_));
  EXPECT_EQ(world_.Ruleset(), "");
  Expect(Ours("DEL", bare_));
}

TEST_F(FirewallKernelTest, RulesInForwardAreThoseOfGosPlugin) {
  Iptables("-P FORWARD DROP");
  Iptables("-P FORWARD DROP", /*v6=*/true);
  Expect(Ours("ADD", dual_));
  EXPECT_EQ(Rules(), kRules4);
  EXPECT_THAT(Rules(/*v6=*/true),
              HasSubstr("-A CNI-FORWARD -d fd00::2/128 -m conntrack --ctstate "
                        "RELATED,ESTABLISHED -j ACCEPT\n"
                        "-A CNI-FORWARD -s fd00::2/128 -j ACCEPT\n"));
  Expect(Ours("CHECK", dual_));
  Expect(Gos("CHECK", dual_));
  Expect(Ours("ADD", dual_));  // again: nothing is doubled
  EXPECT_EQ(Rules(), kRules4);
  Expect(Ours("DEL", bare_));
  EXPECT_THAT(Rules(), Not(HasSubstr("10.0.0.2")));
  EXPECT_THAT(Rules(), HasSubstr("-j CNI-FORWARD"));
  EXPECT_THAT(Rules(/*v6=*/true), Not(HasSubstr("fd00::2")));
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("davit")));
}

TEST_F(FirewallKernelTest, EitherPluginDeletesWhatTheOtherAdded) {
  Expect(Gos("ADD", v4_));
  EXPECT_EQ(Rules(), kRules4);
  Expect(Ours("DEL", v4_));
  EXPECT_THAT(Rules(), Not(HasSubstr("10.0.0.2")));
  Expect(Ours("ADD", v4_));
  EXPECT_EQ(Rules(), kRules4);
  Expect(Gos("DEL", v4_));
  EXPECT_THAT(Rules(), Not(HasSubstr("10.0.0.2")));
  EXPECT_THAT(Ours("CHECK", v4_).out,
              HasSubstr("expected rules for 10.0.0.2 not found in chain "
                        "CNI-FORWARD"));
  Expect(Ours("DEL", bare_));
}

TEST_F(FirewallKernelTest, AForwardChainThatComesLaterGetsAllPods) {
  Expect(Ours("ADD", v4_));
  Iptables("-P FORWARD DROP");
  EXPECT_THAT(Ours("CHECK", v4_).out, HasSubstr("FORWARD to CNI-FORWARD"));
  Expect(Ours("ADD", Config(R"({"address": "10.0.0.3/24"})"), "pod-2"));
  EXPECT_THAT(Rules(), HasSubstr("-s 10.0.0.2/32 -j ACCEPT"));
  EXPECT_THAT(Rules(), HasSubstr("-s 10.0.0.3/32 -j ACCEPT"));
  Expect(Ours("CHECK", v4_));
  // Another pod's rules are not taken for a stale prevResult.
  Expect(Ours("DEL", v4_, "pod-2"));
  EXPECT_THAT(Rules(), HasSubstr("-s 10.0.0.2/32 -j ACCEPT"));
  EXPECT_THAT(Rules(), Not(HasSubstr("10.0.0.3")));
  Expect(Ours("DEL", v4_));
}

TEST_F(FirewallKernelTest, TheAdministratorsChainIsFirstAndStays) {
  Iptables("-N MY-RULES");
  Iptables("-A MY-RULES -s 10.0.0.2/32 -j DROP");
  const std::string config =
      Config(R"({"address": "10.0.0.2/24"})",
             R"("iptablesAdminChainName": "MY-RULES", "backend": "iptables")");
  Iptables("-P FORWARD ACCEPT");
  Expect(Ours("ADD", config));
  EXPECT_THAT(Rules(),
              HasSubstr("-A CNI-FORWARD -m comment --comment \"CNI firewall "
                        "plugin admin overrides\" -j MY-RULES\n"
                        "-A CNI-FORWARD -d 10.0.0.2/32"));
  Expect(Gos("CHECK", config));
  Expect(Ours("DEL", config));
  EXPECT_THAT(Rules(), HasSubstr("-A MY-RULES -s 10.0.0.2/32 -j DROP"));
}

TEST_F(FirewallKernelTest, TrafficPassesAPolicyOfDrop) {
  const std::string a = world_.AddPod("a");
  const std::string b = world_.AddPod("b");
  const std::string ptp = PtpJson(world_, "172.16.28.0/24");
  PluginCall call{"ADD", ptp, a, "pod-1", "eth0"};
  const Json first = world_.Run("ptp", call).json;
  call.netns = b;
  call.container_id = "pod-2";
  ASSERT_EQ(world_.Run("ptp", call).exit_code, 0);
  Iptables("-P FORWARD DROP");
  NamingServer server(world_.pod(b), Transport::kTcp, false, 80, "b");
  Client client(world_.pod(a), Transport::kTcp);
  EXPECT_FALSE(client.Ask("172.16.28.3", 80).ok());
  const std::string config = WithPrevResult(bare_, first);
  Expect(Ours("ADD", config));
  EXPECT_EQ(client.Ask("172.16.28.3", 80).value_or("-"), "b 172.16.28.2");
  // Only what the pod begins: nobody may call it.
  NamingServer back(world_.pod(a), Transport::kTcp, false, 80, "a");
  EXPECT_FALSE(
      Client(world_.pod(b), Transport::kTcp).Ask("172.16.28.2", 80).ok());
  Expect(Ours("DEL", config));
  EXPECT_FALSE(client.Ask("172.16.28.3", 80).ok());
}

TEST_F(FirewallKernelTest, IngressPoliciesShutBridgesOff) {
  // The ptp ends stand for bridges: only their names count.
  const std::string a = world_.AddPod("a");
  const std::string b = world_.AddPod("b");
  const std::string ptp = PtpJson(world_, "172.16.28.0/24");
  PluginCall call{"ADD", ptp, a, "pod-1", "eth0"};
  const Json first = world_.Run("ptp", call).json;
  call.netns = b;
  call.container_id = "pod-2";
  const Json second = world_.Run("ptp", call).json;
  auto config = [&](const Json& previous) {
    return WithPrevResult(R"({"cniVersion": "1.0.0", "name": "net",
                              "ingressPolicy": "same-bridge"})",
                          previous);
  };
  NamingServer server(world_.pod(b), Transport::kTcp, false, 80, "b");
  Client client(world_.pod(a), Transport::kTcp);
  Expect(Ours("ADD", config(first), "pod-1"));
  EXPECT_THAT(client.Ask("172.16.28.3", 80), IsOk());
  Expect(Ours("ADD", config(second), "pod-2"));
  EXPECT_FALSE(client.Ask("172.16.28.3", 80).ok());
  Expect(Ours("CHECK", config(second), "pod-2"));
  EXPECT_THAT(Client(world_.node(), Transport::kTcp).Ask("172.16.28.3", 80),
              IsOk());
  Expect(Ours("DEL", bare_, "pod-1"));
  Expect(Ours("DEL", bare_, "pod-2"));
  EXPECT_EQ(world_.Ruleset(), "");
  EXPECT_THAT(client.Ask("172.16.28.3", 80), IsOk());
}

TEST_F(FirewallKernelTest, IsolatedBridgesHaveNoPairOfTheirOwn) {
  for (const auto& [policy, has_pair] :
       {std::pair("same-bridge", true), std::pair("isolated", false)}) {
    Expect(Ours("ADD",
                Config(R"({"address": "10.0.0.2/24"})",
                       absl::StrFormat(R"("ingressPolicy": "%s")", policy))));
    EXPECT_THAT(world_.Ruleset(), HasSubstr("elements = { \"br0\" comment"));
    EXPECT_EQ(world_.Ruleset().find("\"br0\" . \"br0\"") != std::string::npos,
              has_pair);
  }
  EXPECT_THAT(world_.Ruleset(),
              HasSubstr("iifname @policy_bridges oifname @policy_bridges "
                        "iifname . oifname != @same_bridge drop"));
  Expect(Ours("DEL", bare_));
  EXPECT_EQ(world_.Ruleset(), "");
}

TEST_F(FirewallKernelTest, ErrorsAreThoseOfGosPlugin) {
  for (const std::string& config :
       {bare_, std::string(R"({"cniVersion": "0.3.1", "name": "net"})"),
        Config("", R"("ingressPolicy": "shut")")}) {
    for (const char* command : {"ADD", "CHECK"}) {
      PluginAnswer ours = Ours(command, config);
      PluginAnswer gos = Gos(command, config);
      // Go's CHECK does not read ingressPolicy; versions differ in number.
      if (gos.exit_code == 0) continue;
      EXPECT_EQ(ours.json["code"], gos.json["code"]) << config;
      EXPECT_EQ(ours.json["msg"], gos.json["msg"]) << config;
    }
  }
  PluginAnswer answer =
      Ours("ADD", Config(R"({"address": "10.0.0.2/24"})",
                         R"("backend": "firewalld", "firewalldZone": "work")"));
  EXPECT_EQ(answer.json["code"], 2);
  EXPECT_THAT(answer.out, HasSubstr("backend: "));
  answer = Ours("ADD", Config("", R"("ingressPolicy": "isolated")", ""));
  EXPECT_THAT(answer.out, HasSubstr("prevResult.interfaces[0].name"));
  EXPECT_EQ(Ours("VERSION", "").json["supportedVersions"],
            (Json{"0.4.0", "1.0.0", "1.1.0"}));
  EXPECT_EQ(world_.Ruleset(), "");
}

}  // namespace
}  // namespace davit
