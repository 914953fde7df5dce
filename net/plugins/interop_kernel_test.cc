// Our plugins beside Debian's Go ones (containernetworking-plugins): mixed
// pairs of ptp and host-local, each undoing the other's work, equal results.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "net/plugins/plugin_world.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::ConnectAndSeePeer;
using ::davit::testing::PluginAnswer;
using ::davit::testing::PluginCall;
using ::davit::testing::PluginWorld;
using ::davit::testing::PtpJson;
using ::davit::testing::WithPrevResult;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Who does a part of the work.
enum class Side { kOurs, kGo };

class InteropKernelTest : public ::testing::Test {
 protected:
  std::string Directory(Side side) {
    return side == Side::kOurs ? world_.our_plugins() : PluginWorld::kGoPlugins;
  }
  PluginAnswer Run(Side ptp, Side ipam, const PluginCall& call) {
    return world_.Run(Directory(ptp) + "/ptp", Directory(ipam), call);
  }
  PluginAnswer RunIpam(Side side, const PluginCall& call) {
    return world_.Run(Directory(side) + "/host-local", Directory(side), call);
  }
  void ExpectNothingLeft() {
    EXPECT_THAT(world_.Interfaces(), IsEmpty());
    EXPECT_THAT(world_.Leases(), IsEmpty());
  }

  PluginWorld world_;
};

// A result without what must differ, and without the empty dns that Debian's
// build also prints for 1.0.0. Compares without regard to the order of keys.
nlohmann::json Normalized(const PluginAnswer& answer) {
  nlohmann::json json = nlohmann::json::parse(answer.out, nullptr, false);
  if (json.is_discarded()) return answer.out;
  for (nlohmann::json& interface : json["interfaces"]) {
    interface["mac"] = "MAC";
    if (!interface.contains("sandbox")) interface["name"] = "HOST";
  }
  if (json["dns"].empty()) json.erase("dns");
  return json;
}

struct Pair {
  const char* name;
  Side ptp, ipam;
};

class InteropPairs : public InteropKernelTest,
                     public ::testing::WithParamInterface<Pair> {};

TEST_P(InteropPairs, AddCheckTalkDel) {
  const Pair& pair = GetParam();
  const std::string a = world_.AddPod("a"), b = world_.AddPod("b");
  const std::string config = PtpJson(world_, "172.16.28.0/24");
  PluginAnswer added = Run(pair.ptp, pair.ipam, {"ADD", config, a, "pod-a"});
  ASSERT_EQ(added.exit_code, 0) << added.out;
  // Its neighbour is all ours.
  ASSERT_EQ(
      Run(Side::kOurs, Side::kOurs, {"ADD", config, b, "pod-b"}).exit_code, 0);
  ASSERT_OK_AND_ASSIGN(std::string seen,
                       ConnectAndSeePeer(world_.pod(a), world_.pod(b),
                                         *IpAddress::Parse("172.16.28.3")));
  EXPECT_EQ(seen, "172.16.28.2");

  const std::string with_result = WithPrevResult(config, added.json);
  for (Side checker : {Side::kOurs, Side::kGo}) {
    PluginAnswer checked =
        Run(checker, pair.ipam, {"CHECK", with_result, a, "pod-a"});
    EXPECT_EQ(checked.exit_code, 0) << checked.out;
  }
  EXPECT_EQ(
      Run(pair.ptp, pair.ipam, {"DEL", with_result, a, "pod-a"}).exit_code, 0);
  EXPECT_EQ(
      Run(Side::kOurs, Side::kOurs, {"DEL", config, b, "pod-b"}).exit_code, 0);
  ExpectNothingLeft();
}

TEST_P(InteropPairs, TheOtherSideCanDelete) {
  const Pair& pair = GetParam();
  const std::string pod = world_.AddPod("a");
  const std::string config = PtpJson(world_, "172.16.28.0/24");
  ASSERT_EQ(Run(pair.ptp, pair.ipam, {"ADD", config, pod}).exit_code, 0);
  Side other_ptp = pair.ptp == Side::kOurs ? Side::kGo : Side::kOurs;
  Side other_ipam = pair.ipam == Side::kOurs ? Side::kGo : Side::kOurs;
  PluginAnswer deleted = Run(other_ptp, other_ipam, {"DEL", config, pod});
  EXPECT_EQ(deleted.exit_code, 0) << deleted.out;
  ExpectNothingLeft();
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, InteropPairs,
    ::testing::Values(Pair{"OursOurs", Side::kOurs, Side::kOurs},
                      Pair{"OursGo", Side::kOurs, Side::kGo},
                      Pair{"GoOurs", Side::kGo, Side::kOurs},
                      Pair{"GoGo", Side::kGo, Side::kGo}),
    [](const auto& info) { return info.param.name; });

TEST_F(InteropKernelTest, ResultsAreEqualInEveryVersion) {
  const std::string pod = world_.AddPod("a");
  for (const char* version :
       {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"}) {
    std::string config = PtpJson(
        world_, "172.16.28.0/24",
        R"("dns": {"nameservers": ["10.0.0.53"], "search": ["a", "b"]})",
        version);
    nlohmann::json results[2];
    for (Side side : {Side::kOurs, Side::kGo}) {
      PluginCall call{"ADD", config, pod};
      call.args = "IP=172.16.28.20";
      PluginAnswer answer = Run(side, side, call);
      EXPECT_EQ(answer.exit_code, 0) << answer.out;
      results[static_cast<int>(side)] = Normalized(answer);
      call.command = "DEL";
      EXPECT_EQ(Run(side, side, call).exit_code, 0);
    }
    EXPECT_EQ(results[0], results[1]) << version;
  }
  ExpectNothingLeft();
}

TEST_F(InteropKernelTest, HostLocalResultsFilesAndErrorsAreEqual) {
  const std::string ipam = absl::StrCat(
      R"("ipam": {"type": "host-local", "dataDir": ")", world_.data_dir(),
      R"(", "ranges": [[{"subnet": "10.0.0.0/29", "gateway": "10.0.0.3"}],
         [{"subnet": "fd00::/64", "rangeStart": "fd00::7:0:0:1"}]],
         "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.8.0.0/16",
                                           "gw": "10.0.0.5"}]}})");
  const std::string config = R"({"cniVersion": "0.4.0", "name": "n", )" + ipam;
  nlohmann::json results[2];
  std::string leases[2], last[2];
  for (Side side : {Side::kOurs, Side::kGo}) {
    const int i = static_cast<int>(side);
    PluginAnswer answer = RunIpam(side, {"ADD", config, "/x"});
    ASSERT_EQ(answer.exit_code, 0) << answer.out;
    results[i] = nlohmann::json::parse(answer.out);
    leases[i] = ReadFile(world_.data_dir() + "/n/fd00::7:0:0:1").value_or("-");
    last[i] =
        ReadFile(world_.data_dir() + "/n/last_reserved_ip.1").value_or("-");
    ASSERT_EQ(RunIpam(side, {"DEL", config, "/x"}).exit_code, 0);
    ASSERT_EQ(RemoveTree(world_.data_dir()), absl::OkStatus());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(leases[0], leases[1]);
  EXPECT_EQ(last[0], last[1]);
  EXPECT_EQ(leases[0], "pod-1\r\neth0");
}

TEST_F(InteropKernelTest, TheyAllocateFromOnePoolRoundRobin) {
  const std::string config = absl::StrCat(
      R"({"cniVersion": "1.0.0", "name": "n", "ipam": {"type": "host-local",
          "subnet": "10.0.0.0/29", "dataDir": ")",
      world_.data_dir(), "\"}}");
  auto address = [&](Side side, const char* id) -> std::string {
    PluginAnswer answer = RunIpam(side, {"ADD", config, "/x", id});
    return answer.exit_code == 0 ? answer.json["ips"][0]["address"]
                                 : answer.json["msg"];
  };
  EXPECT_EQ(address(Side::kOurs, "a"), "10.0.0.2/29");
  EXPECT_EQ(address(Side::kGo, "b"), "10.0.0.3/29");
  EXPECT_EQ(address(Side::kOurs, "c"), "10.0.0.4/29");
  ASSERT_EQ(RunIpam(Side::kGo, {"DEL", config, "/x", "a"}).exit_code, 0);
  ASSERT_EQ(RunIpam(Side::kOurs, {"DEL", config, "/x", "b"}).exit_code, 0);
  EXPECT_THAT(world_.Leases(), ElementsAre("10.0.0.4"));
  EXPECT_EQ(address(Side::kGo, "d"), "10.0.0.5/29");
  EXPECT_EQ(address(Side::kGo, "e"), "10.0.0.6/29");
  EXPECT_EQ(address(Side::kOurs, "f"), "10.0.0.2/29");
  EXPECT_EQ(address(Side::kGo, "g"), "10.0.0.3/29");
  // Both are at the end, with the same words; duplicates likewise.
  EXPECT_EQ(address(Side::kOurs, "h"), address(Side::kGo, "h"));
  EXPECT_THAT(address(Side::kOurs, "h"),
              HasSubstr("failed to allocate for range 0: no IP addresses "
                        "available in range set: 10.0.0.1-10.0.0.6"));
  EXPECT_EQ(address(Side::kOurs, "c"), address(Side::kGo, "c"));
  for (Side side : {Side::kOurs, Side::kGo}) {
    EXPECT_EQ(RunIpam(side, {"CHECK", config, "/x", "c"}).exit_code, 0);
    EXPECT_EQ(RunIpam(side, {"CHECK", config, "/x", "z"}).json["code"], 999);
  }
}

TEST_F(InteropKernelTest, EnvironmentErrorsAreEqual) {
  for (const char* config :
       {"{}", R"({"name": "x y"})", R"({"name": "x", "cniVersion": "0.1.0"})",
        R"({"name": "x", "cniVersion": "1.0.0", "ipam": {}})"}) {
    for (const char* command : {"ADD", "DEL", "CHECK", "FOO"}) {
      PluginCall call{command, config, "/no/such"};
      PluginAnswer ours = RunIpam(Side::kOurs, call);
      PluginAnswer go = RunIpam(Side::kGo, call);
      // DEL of ours needs no ranges; see ParseHostLocalDataDir.
      if (go.out.find("no IP ranges") != std::string::npos &&
          std::string(command) != "ADD") {
        continue;
      }
      EXPECT_EQ(ours.json, go.json) << command << config;
      EXPECT_EQ(ours.exit_code, go.exit_code) << command << config;
    }
  }
}

TEST_F(InteropKernelTest, LoopbackResultsAreEqual) {
  // Go's labels the shape of 1.0.0 with whatever version is asked for, so only
  // there can they agree.
  const std::string pod = world_.AddPod("a");
  PluginCall call{"ADD", R"({"name": "lo", "cniVersion": "1.0.0"})", pod};
  EXPECT_EQ(
      Normalized(world_.Run("loopback", call)),
      Normalized(world_.Run(absl::StrCat(PluginWorld::kGoPlugins, "/loopback"),
                            PluginWorld::kGoPlugins, call)));
}

}  // namespace
}  // namespace davit
