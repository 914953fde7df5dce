#include "net/plugins/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/plugins/tuning_backup.h"
#include "net/plugins/tuning_config.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

PluginRequest Request(const std::string& members, const std::string& args = "",
                      const std::string& ifname = "eth0") {
  std::string text = absl::StrCat(R"({"name": "net", "type": "tuning")",
                                  members.empty() ? "" : ", ", members, "}");
  return {"ADD", "pod-1", ifname, "/no/such/netns",
          args,  "/cni",  text,   *JsonObject::Parse(text),
          "net", "1.0.0"};
}

absl::StatusOr<TuningConfig> Parse(const std::string& members,
                                   const std::string& args = "",
                                   const std::string& ifname = "eth0") {
  return ParseTuningConfig(Request(members, args, ifname));
}

std::vector<std::string> Paths(const TuningConfig& config) {
  std::vector<std::string> paths;
  for (const TuningSysctl& s : config.sysctls) {
    paths.push_back(s.path + "=" + s.value);
  }
  return paths;
}

TEST(TuningConfigTest, NothingToDo) {
  ASSERT_OK_AND_ASSIGN(TuningConfig config, Parse(""));
  EXPECT_THAT(config.sysctls, ElementsAre());
  EXPECT_FALSE(config.changes_link());
  ASSERT_OK_AND_ASSIGN(config, Parse(R"("mtu": 0, "promisc": false)"));
  EXPECT_FALSE(config.changes_link());
  ASSERT_OK_AND_ASSIGN(config, Parse(R"("allmulti": false)"));
  EXPECT_TRUE(config.changes_link());
}

TEST(TuningConfigTest, SysctlsInTheirOrderWithTheInterfacesName) {
  ASSERT_OK_AND_ASSIGN(
      TuningConfig config,
      Parse(R"("sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1",
                          "net/core/somaxconn": "500",
                          "net.ipv4.ip_forward": "1"},
               "args": {"cni": {"sysctl": {"net.ipv4.ip_forward": "0",
                                           "net.ipv6.conf.all.forwarding":
                                           "1"}}})",
            "", "eth0.5"));
  EXPECT_THAT(Paths(config),
              ElementsAre("/proc/sys/net/ipv4/conf/eth0.5/arp_notify=1",
                          "/proc/sys/net/core/somaxconn=500",
                          "/proc/sys/net/ipv4/ip_forward=0",
                          "/proc/sys/net/ipv6/conf/all/forwarding=1"));
}

TEST(TuningConfigTest, ArgsWin) {
  const std::string all = R"("mac": "02:00:00:00:00:01", "mtu": 1400,
      "promisc": true, "allmulti": true, "txQLen": 7)";
  ASSERT_OK_AND_ASSIGN(TuningConfig config, Parse(all));
  EXPECT_EQ(config.mac->ToString(), "02:00:00:00:00:01");
  EXPECT_TRUE(config.promisc);
  EXPECT_EQ(config.mtu, 1400u);
  EXPECT_EQ(config.all_multicast, true);
  EXPECT_EQ(config.tx_queue_length, 7u);
  ASSERT_OK_AND_ASSIGN(
      config, Parse(all + R"(, "args": {"cni": {"mac": "02:00:00:00:00:04",
          "mtu": 1300, "promisc": false, "allmulti": false, "txQLen": 8}})",
                    "MAC=02:00:00:00:00:02"));
  EXPECT_EQ(config.mac->ToString(), "02:00:00:00:00:04");
  EXPECT_FALSE(config.promisc);
  EXPECT_EQ(config.mtu, 1300u);
  EXPECT_EQ(config.all_multicast, false);
  EXPECT_EQ(config.tx_queue_length, 8u);
}

TEST(TuningConfigTest, MacsOfTheRuntimeBeatCniArgs) {
  ASSERT_OK_AND_ASSIGN(TuningConfig config,
                       Parse(R"("mac": "02:00:00:00:00:01")",
                             "IgnoreUnknown=1;MAC=02:00:00:00:00:02"));
  EXPECT_EQ(config.mac->ToString(), "02:00:00:00:00:02");
  ASSERT_OK_AND_ASSIGN(config,
                       Parse(R"("runtimeConfig": {"mac": "02:00:00:00:00:03"})",
                             "MAC=02:00:00:00:00:02"));
  EXPECT_EQ(config.mac->ToString(), "02:00:00:00:00:03");
}

TEST(TuningConfigTest, ErrorsNameTheField) {
  struct Case {
    const char* members;
    const char* error;
  };
  for (const Case& c : {
           Case{R"("sysctl": {"kernel.domainname": "x"})",
                "sysctl.kernel.domainname: invalid net sysctl key"},
           Case{R"("sysctl": {"net": "x"})", "invalid net sysctl key"},
           Case{R"("sysctl": {"net.": "x"})", "invalid net sysctl key"},
           Case{R"("sysctl": {"net.a\u0000b": "x"})", "invalid net sysctl key"},
           Case{R"("sysctl": {"net.a": 1})", "sysctl.net.a: want a string"},
           Case{R"("sysctl": ["net.a"])", "sysctl: want an object"},
           Case{R"("sysctl": {"net.a": "1", "net.b": "1", "net.a": "2"})",
                "sysctl.net.a: duplicated sysctl keys are not allowed"},
           Case{R"("mac": "02:00")", "mac: "},
           Case{R"("runtimeConfig": {"mac": "x"})", "runtimeConfig.mac: "},
           Case{R"("args": {"cni": {"mac": "x"}})", "args.cni.mac: "},
           Case{R"("mtu": 70000)", "mtu: 70000 is not in 0..65535"},
           Case{R"("args": {"cni": {"mtu": -1}})", "args.cni.mtu: -1 is not"},
           Case{R"("txQLen": -1)", "txQLen: -1 is not in"},
           Case{R"("promisc": "yes")", "promisc: want true or false"},
           Case{R"("allmulti": 1)", "allmulti: want true or false"},
       }) {
    EXPECT_THAT(Parse(c.members).status().message(), HasSubstr(c.error))
        << c.members;
  }
  // The same key elsewhere is another one.
  EXPECT_THAT(Parse(R"("sysctl": {"net.a": "1"},
                       "args": {"cni": {"sysctl": {"net.a": "2"}}},
                       "other": {"net.a": "3"})"),
              IsOk());
}

class AllowlistTest : public ::testing::Test {
 protected:
  absl::Status Check(const std::string& list) {
    EXPECT_THAT(WriteFileAtomic(directory_ / "list", list), IsOk());
    return CheckTuningAllowlist(config_, directory_ / "list");
  }

  TempDir directory_;
  TuningConfig config_ = *Parse(R"("sysctl": {
      "net.ipv4.conf.IFNAME.arp_notify": "1", "net.core.somaxconn": "9"})");
};

TEST_F(AllowlistTest, WithoutTheFileEverythingIsAllowed) {
  EXPECT_THAT(CheckTuningAllowlist(config_, directory_ / "list"), IsOk());
}

TEST_F(AllowlistTest, EachKeyNeedsAMatch) {
  EXPECT_THAT(Check("^net\\.core\\.\n\n  ^net.ipv4.conf.IFNAME.[a-z_]*$  \n"),
              IsOk());
  EXPECT_THAT(Check("."), IsOk());
  EXPECT_THAT(Check("^net.core.somaxconn$\n"),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("sysctl.net.ipv4.conf.IFNAME.arp_notify: not "
                                 "allowed by")));
  EXPECT_THAT(Check(""), StatusIs(absl::StatusCode::kPermissionDenied,
                                  HasSubstr("not allowed")));
}

TEST_F(AllowlistTest, WhatIsNoExpressionOrNoFileIsSaid) {
  EXPECT_THAT(Check("net\n(\n"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("\"(\" is not a regular expression")));
  EXPECT_THAT(CheckTuningAllowlist(config_, directory_.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(directory_.path())));
}

TEST(TuningBackupTest, HoldsOnlyWhatWillChange) {
  TempDir directory;
  const std::string path = TuningBackupPath(directory / "a/b", "pod-1", "eth0");
  EXPECT_EQ(path, directory / "a/b/pod-1_eth0.json");
  EXPECT_THAT(ReadTuningBackup(path).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  Link link;
  link.mac = *MacAddress::Parse("02:00:00:00:00:01");
  link.mtu = 1500;
  link.tx_queue_length = 1000;
  ASSERT_OK_AND_ASSIGN(TuningConfig config,
                       Parse(R"("mtu": 1400, "promisc": true)"));
  ASSERT_THAT(WriteTuningBackup(path, config, link), IsOk());
  EXPECT_EQ(ReadFile(path).value_or(""),
            "{\n \"promisc\": false,\n \"mtu\": 1500\n}");
  ASSERT_OK_AND_ASSIGN(LinkChange change, ReadTuningBackup(path));
  EXPECT_EQ(change.promiscuous, false);
  EXPECT_EQ(change.mtu, 1500u);
  EXPECT_FALSE(change.mac || change.all_multicast || change.tx_queue_length);
}

TEST(TuningBackupTest, RubbishIsAnError) {
  TempDir directory;
  for (const char* text : {"", "[]", "{\"mtu\": -1}", "{\"mac\": \"x\"}"}) {
    ASSERT_THAT(WriteFileAtomic(directory / "f", text), IsOk());
    EXPECT_THAT(ReadTuningBackup(directory / "f").status(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(directory / "f")))
        << text;
  }
}

TEST(TuningTest, DelNeverFailsAndForgetsTheBackup) {
  TempDir directory;
  const std::string members =
      absl::StrCat(R"("mtu": "rubbish", "dataDir": ")", directory.path(), "\"");
  EXPECT_THAT(kTuningPlugin.del(Request(members)), IsOk());
  const std::string path = directory / "pod-1_eth0.json";
  ASSERT_THAT(WriteFileAtomic(path, "{\"mtu\": 1500}"), IsOk());
  EXPECT_THAT(kTuningPlugin.del(Request(members)), IsOk());
  EXPECT_FALSE(PathExists(path));
}

TEST(TuningTest, NeedsPrevResult) {
  EXPECT_THAT(kTuningPlugin.add(Request("")).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "Required prevResult missing"));
  EXPECT_THAT(kTuningPlugin.check(Request("")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "Required prevResult missing"));
}

}  // namespace
}  // namespace davit
