// DEL of ptp, and loopback, by the built binary.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/plugins/plugin_world.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::PluginAnswer;
using ::davit::testing::PluginCall;
using ::davit::testing::PluginWorld;
using ::davit::testing::PtpJson;
using ::davit::testing::StatusIs;
using ::davit::testing::WithPrevResult;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class PtpDelKernelTest : public ::testing::Test {
 protected:
  PtpDelKernelTest()
      : config_(PtpJson(world_, "172.16.28.0/24", "\"ipMasq\": true")),
        pod_(world_.AddPod("a")),
        added_(world_.Run("ptp", {"ADD", config_, pod_})) {
    EXPECT_EQ(added_.exit_code, 0) << added_.out;
  }

  // Runs DEL with this CNI_NETNS; nothing may be left, and again nothing may
  // happen the second time.
  void DelLeavesNothing(const std::string& netns, const std::string& config) {
    for (int i = 0; i < 2; ++i) {
      PluginAnswer answer = world_.Run("ptp", {"DEL", config, netns});
      EXPECT_EQ(answer.exit_code, 0) << answer.out;
      EXPECT_EQ(answer.out, "");
    }
    EXPECT_THAT(world_.Interfaces(), IsEmpty());
    EXPECT_THAT(world_.Leases(), IsEmpty());
    EXPECT_EQ(world_.Ruleset(), "");
  }

  void Nft(std::vector<std::string> args) {
    SubprocessSpec nft;
    nft.path = "/usr/sbin/nft";
    nft.argv = {"nft"};
    nft.argv.insert(nft.argv.end(), args.begin(), args.end());
    nft.netns_fd = world_.node().fd();
    absl::StatusOr<SubprocessResult> result = RunSubprocess(nft);
    ASSERT_TRUE(result.ok() && result->ExitedWith(0)) << result->err;
  }

  PluginWorld world_;
  std::string config_;
  std::string pod_;
  PluginAnswer added_;
};

TEST_F(PtpDelKernelTest, WithPrevResult) {
  DelLeavesNothing(pod_, WithPrevResult(config_, added_.json));
  EXPECT_THAT(world_.PodLink(pod_).GetLink("eth0"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PtpDelKernelTest, WithoutPrevResult) { DelLeavesNothing(pod_, config_); }

TEST_F(PtpDelKernelTest, WithBrokenPrevResult) {
  DelLeavesNothing(pod_, WithPrevResult(config_, {{"ips", "x"}}));
}

TEST_F(PtpDelKernelTest, WithEmptyNetnsWhileItLives) {
  DelLeavesNothing("", config_);
}

TEST_F(PtpDelKernelTest, WithMissingPin) {
  world_.Unpin(pod_, /*keep=*/true);
  ASSERT_THAT(RemoveFile(pod_), IsOk());
  DelLeavesNothing(pod_, config_);
}

TEST_F(PtpDelKernelTest, WithPinThatIsAPlainFileAfterAReboot) {
  world_.Unpin(pod_, /*keep=*/false);
  DelLeavesNothing(pod_, config_);
}

TEST_F(PtpDelKernelTest, WithPathBelowAFile) {
  world_.Unpin(pod_, /*keep=*/true);
  DelLeavesNothing(pod_ + "/x", config_);
}

TEST_F(PtpDelKernelTest, WithALinkThatGosPluginCouldHaveMade) {
  // No alias of ours, only prevResult tells.
  world_.Unpin(pod_, /*keep=*/true);
  Link link = *world_.node_link().GetLink(world_.Interfaces().at(0));
  ASSERT_THAT(world_.node_link().SetLinkUp(link.index, true, "foreign"),
              IsOk());
  EXPECT_EQ(world_.Run("ptp", {"DEL", config_, ""}).exit_code, 0);
  EXPECT_THAT(world_.Interfaces(), SizeIs(1));
  DelLeavesNothing("", WithPrevResult(config_, added_.json));
}

TEST_F(PtpDelKernelTest, SparesOtherPodsOfTheNetwork) {
  const std::string other = world_.AddPod("b");
  PluginAnswer second = world_.Run("ptp", {"ADD", config_, other, "pod-2"});
  ASSERT_EQ(second.exit_code, 0) << second.out;
  // Another attachment of the same container.
  PluginCall eth1{"ADD", config_, world_.AddPod("c"), "pod-2", "eth1"};
  ASSERT_EQ(world_.Run("ptp", eth1).exit_code, 0);

  ASSERT_EQ(world_.Run("ptp", {"DEL", config_, pod_}).exit_code, 0);
  EXPECT_THAT(world_.Interfaces(), SizeIs(2));
  EXPECT_THAT(world_.Ruleset(),
              HasSubstr("172.16.28.3 comment \"pod-2 eth0\""));
  EXPECT_THAT(world_.Ruleset(), Not(HasSubstr("172.16.28.2 ")));
  eth1.command = "DEL";
  ASSERT_EQ(world_.Run("ptp", eth1).exit_code, 0);
  EXPECT_THAT(world_.Leases(), ElementsAre("172.16.28.3"));
  EXPECT_EQ(world_
                .Run("ptp", {"CHECK", WithPrevResult(config_, second.json),
                             other, "pod-2"})
                .out,
            "");
}

TEST_F(PtpDelKernelTest, ATableThatIsNotOursIsAnErrorThatSaysSo) {
  ASSERT_EQ(world_.Run("ptp", {"DEL", config_, pod_}).exit_code, 0);
  Nft({"add table inet davit; add chain inet davit postrouting"});
  PluginAnswer answer = world_.Run("ptp", {"ADD", config_, pod_});
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_THAT(answer.json.value("msg", ""),
              HasSubstr("masquerade 172.16.28.3 in nft table davit"));
  EXPECT_THAT(world_.Interfaces(), IsEmpty());
  EXPECT_THAT(world_.Leases(), IsEmpty());
}

TEST_F(PtpDelKernelTest, WithoutIpamTheRestIsStillUndone) {
  PluginAnswer answer = world_.Run(
      "ptp", {"DEL", R"({"cniVersion": "1.0.0", "name": "net"})", pod_});
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.json["code"], 999);
  EXPECT_EQ(answer.json["msg"], "no plugin name provided");
  EXPECT_THAT(world_.Interfaces(), IsEmpty());
  EXPECT_THAT(world_.Leases(), SizeIs(1));
  DelLeavesNothing(pod_, config_);
}

TEST(LoopbackKernelTest, UpCheckDown) {
  PluginWorld world;
  const std::string pod = world.AddPod("a");
  const std::string config =
      R"({"cniVersion": "0.3.1", "name": "lo", "type": "loopback"})";
  PluginAnswer answer = world.Run("loopback", {"ADD", config, pod});
  EXPECT_EQ(answer.exit_code, 0);
  EXPECT_EQ(answer.json, Json::parse(absl::StrCat(R"({
      "cniVersion": "0.3.1",
      "interfaces": [{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": ")",
                                                  pod, R"("}],
      "ips": [{"version": "4", "interface": 0, "address": "127.0.0.1/8"},
              {"version": "6", "interface": 0, "address": "::1/128"}],
      "dns": {}})")));
  const std::string checked =
      R"({"cniVersion": "1.0.0", "name": "lo", "type": "loopback"})";
  EXPECT_EQ(world.Run("loopback", {"CHECK", checked, pod}).out, "");
  EXPECT_EQ(world.Run("loopback", {"DEL", config, pod}).exit_code, 0);
  EXPECT_FALSE(world.PodLink(pod).GetLink("lo")->up);
  EXPECT_EQ(world.Run("loopback", {"CHECK", checked, pod}).json["msg"],
            "loopback interface is down");
  for (const std::string& gone : {std::string(), world.path("none")}) {
    EXPECT_EQ(world.Run("loopback", {"DEL", config, gone}).exit_code, 0);
  }
}

TEST(LoopbackKernelTest, PassesPrevResultOn) {
  PluginWorld world;
  const std::string pod = world.AddPod("a");
  PluginAnswer answer = world.Run(
      "loopback", {"ADD",
                   R"({"cniVersion": "1.0.0", "name": "lo", "prevResult":
                       {"cniVersion": "1.0.0", "vendor/x": [1]}})",
                   pod});
  EXPECT_EQ(answer.json,
            Json::parse(R"({"cniVersion": "1.0.0", "vendor/x": [1]})"));
}

TEST(LoopbackKernelTest, RefusesForeignAddresses) {
  PluginWorld world;
  const std::string pod = world.AddPod("a");
  Netlink inside = world.PodLink(pod);
  ASSERT_THAT(inside.AddAddress({inside.GetLink("lo")->index,
                                 *IpPrefix::Parse("10.0.0.1/32")}),
              IsOk());
  EXPECT_THAT(world
                  .Run("loopback",
                       {"ADD", R"({"cniVersion": "1.0.0", "name": "lo"})", pod})
                  .out,
              HasSubstr("loopback interface found with non-loopback address"));
}

}  // namespace
}  // namespace davit
