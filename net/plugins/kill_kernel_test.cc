// Plugins that are killed at each of their steps: the runtime's DEL, which
// knows no result, then leaves nothing, and the addresses can be given again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/plugins/killed_plugin.h"
#include "net/plugins/plugin_world.h"

namespace davit {
namespace {

using ::davit::testing::KilledPlugin;
using ::davit::testing::PluginAnswer;
using ::davit::testing::PluginCall;
using ::davit::testing::PluginWorld;
using ::davit::testing::RunAndKill;
using ::davit::testing::WithPrevResult;
using ::testing::Gt;
using ::testing::IsEmpty;

constexpr int kMaxSteps = 500;

struct Scenario {
  std::string name;
  // The plugins of the chain, IPAM with LEASES in place of its directory. The
  // last one is killed.
  std::vector<std::string> plugins;
  int fewest_steps;  // so that a plugin that does nothing is seen
};

std::string HostLocal(const std::string& ranges) {
  return absl::StrCat(
      R"("ipam": {"type": "host-local", "dataDir": "LEASES", "ranges": )",
      ranges, R"(, "routes": [{"dst": "0.0.0.0/0"}]})");
}

const Scenario kScenarios[] = {
    {"Ptp",
     {absl::StrCat(R"({"type": "ptp", "ipMasq": true, )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}")},
     10},
    {"PtpDualStack",
     {absl::StrCat(R"({"type": "ptp", "ipMasq": true, )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}],
                                 [{"subnet": "fd00:1::/64"}]])"),
                   "}")},
     15},
    {"Bridge",
     {absl::StrCat(R"({"type": "bridge", "bridge": "br0",
                       "isDefaultGateway": true, "ipMasq": true, )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}")},
     10},
    {"HostLocal",
     {absl::StrCat(R"({"type": "host-local", )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}")},
     2},
    {"Portmap",
     {absl::StrCat(R"({"type": "ptp", )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}"),
      R"({"type": "portmap", "runtimeConfig": {"portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]}})"},
     2},
    {"Bandwidth",
     {absl::StrCat(R"({"type": "ptp", )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}"),
      R"({"type": "bandwidth", "ingressRate": 1000000, "ingressBurst": 80000,
          "egressRate": 1000000, "egressBurst": 80000})"},
     3},
    {"Tuning",
     {absl::StrCat(R"({"type": "ptp", )",
                   HostLocal(R"([[{"subnet": "10.1.0.0/24"}]])"), "}"),
      R"({"type": "tuning", "mtu": 1400, "dataDir": "LEASES.tuning",
          "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}})"},
     3},
};

class KillTest : public ::testing::TestWithParam<Scenario> {
 protected:
  std::string TypeOf(size_t index) const { return ConfigOf(index)["type"]; }
  size_t last() const { return GetParam().plugins.size() - 1; }

  Json ConfigOf(size_t index) const {
    std::string text = GetParam().plugins[index];
    for (size_t at; (at = text.find("LEASES")) != std::string::npos;) {
      text.replace(at, 6, world_.data_dir());
    }
    Json config = Json::parse(text);
    config["cniVersion"] = "1.0.0";
    config["name"] = "net";
    return config;
  }

  PluginCall CallOf(const std::string& command, size_t index,
                    const std::string& netns, const Json& previous) const {
    std::string config = ConfigOf(index).dump();
    if (!previous.is_null()) config = WithPrevResult(config, previous);
    return {command, config, netns};
  }

  PluginAnswer Run(const std::string& command, size_t index,
                   const std::string& netns, const Json& previous) const {
    return world_.Run(TypeOf(index), CallOf(command, index, netns, previous));
  }

  // Kills the last plugin at this step; `previous` is what it is given.
  KilledPlugin Kill(const std::string& command, const std::string& netns,
                    const Json& previous, int step) const {
    return RunAndKill(world_, world_.our_plugins() + "/" + TypeOf(last()),
                      CallOf(command, last(), netns, previous), step);
  }

  // ADD of all plugins but the last `without`; the result of the last one.
  Json AddChain(const std::string& netns, size_t without) {
    Json result;
    for (size_t i = 0; i + without < GetParam().plugins.size(); ++i) {
      PluginAnswer answer = Run("ADD", i, netns, result);
      EXPECT_EQ(answer.exit_code, 0) << TypeOf(i) << ": " << answer.out;
      result = answer.json;
    }
    return result;
  }

  // What the runtime does after a failed or interrupted ADD or DEL.
  void DelChain(const std::string& netns, const Json& previous) {
    for (size_t i = GetParam().plugins.size(); i-- > 0;) {
      PluginAnswer answer = Run("DEL", i, netns, previous);
      EXPECT_EQ(answer.exit_code, 0) << TypeOf(i) << ": " << answer.out;
    }
  }

  void ExpectNothingIsLeft() {
    EXPECT_THAT(world_.Leases(), IsEmpty());
    EXPECT_EQ(world_.Ruleset(), "");
    for (const std::string& name : world_.Interfaces()) {
      EXPECT_EQ(name, "br0");  // bridges stay, as Go's do
    }
  }

  // The pod's namespace lives on without the interface.
  void ExpectPodIsClean(const std::string& netns) {
    EXPECT_EQ(world_.PodLink(netns).GetLink("eth0").status().code(),
              absl::StatusCode::kNotFound);
  }

  PluginWorld world_;
};

TEST_P(KillTest, AddKilledAtEachStepIsUndoneByDel) {
  int step = 1;
  for (; step < kMaxSteps; ++step) {
    SCOPED_TRACE(absl::StrCat("killed at step ", step));
    const std::string netns = world_.AddPod(absl::StrCat("pod", step));
    const Json previous = AddChain(netns, 1);
    KilledPlugin plugin = Kill("ADD", netns, previous, step);
    DelChain(netns, Json());
    ExpectNothingIsLeft();
    if (TypeOf(0) != "host-local") ExpectPodIsClean(netns);
    if (!plugin.killed) {
      EXPECT_EQ(plugin.exit_code, 0);
      break;
    }
    SCOPED_TRACE(absl::StrCat("which was ", plugin.last));
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("steps", step - 1);
  EXPECT_THAT(step, Gt(GetParam().fewest_steps));
  // The first address may be given again: none was lost on the way.
  const std::string netns = world_.AddPod("after");
  const Json result = AddChain(netns, 0);
  EXPECT_FALSE(result["ips"].empty()) << result;
  DelChain(netns, result);
  ExpectNothingIsLeft();
}

TEST_P(KillTest, DelKilledAtEachStepIsFinishedByTheNext) {
  int step = 1;
  for (; step < kMaxSteps; ++step) {
    SCOPED_TRACE(absl::StrCat("killed at step ", step));
    const std::string netns = world_.AddPod(absl::StrCat("pod", step));
    const Json result = AddChain(netns, 0);
    KilledPlugin plugin = Kill("DEL", netns, result, step);
    SCOPED_TRACE(absl::StrCat("which was ", plugin.last));
    DelChain(netns, result);
    ExpectNothingIsLeft();
    if (TypeOf(0) != "host-local") ExpectPodIsClean(netns);
    ASSERT_FALSE(HasFailure());
    if (!plugin.killed) {
      EXPECT_EQ(plugin.exit_code, 0);
      break;
    }
  }
  EXPECT_THAT(step, Gt(1));
}

INSTANTIATE_TEST_SUITE_P(Plugins, KillTest, ::testing::ValuesIn(kScenarios),
                         [](const ::testing::TestParamInfo<Scenario>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace davit
