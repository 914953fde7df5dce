#include "net/cni/chain.h"

#include <gmock/gmock.h>

#include "net/cni/fake_plugins.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

CniNetworkConfig Config(const std::string& version,
                        const std::string& extra = "") {
  return *ParseCniNetworkConfig(
      R"({"name":"net","cniVersion":")" + version + R"(",)" + extra +
      R"("plugins":[{"type":"a","k":1},{"type":"b"},{"type":"c"}]})");
}

class CniChainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    plugins_.Install("a", FakePlugins::PrintResult("10.0.0.1/8"));
    plugins_.Install("b", FakePlugins::PrintResult("10.0.0.2/8"));
    plugins_.Install("c", FakePlugins::PrintResult("10.0.0.3/8"));
  }

  // The "prevResult" that a plugin got, or "none".
  std::string PrevResult(const std::string& type, const std::string& command) {
    absl::StatusOr<CniJson> config =
        ParseCniJson(plugins_.Stdin(type, command));
    if (!config.ok()) return std::string(config.status().message());
    const CniJson* result = FindCniMember(*config, "prevResult");
    return result == nullptr ? "none" : DumpCniJson(*result);
  }

  FakePlugins plugins_;
  CniExec exec_{{.plugin_dirs = {plugins_.path()}}};
  CniAttachment attachment_ = {
      .container_id = "cid", .netns = "/n", .ifname = "eth0"};
  CniChainProgress progress_;
};

constexpr char kResultOfA[] =
    R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8"}]})";
constexpr char kResultOfB[] =
    R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8"}]})";
constexpr char kResultOfC[] =
    R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.3/8"}]})";

TEST_F(CniChainTest, AddThreadsResultsAndDelAndCheckGetTheLast) {
  CniNetworkConfig config = Config("1.0.0");
  ASSERT_THAT(AddCniChain(exec_, config, attachment_, progress_), IsOk());
  EXPECT_EQ(plugins_.Log(), "a ADD eth0\nb ADD eth0\nc ADD eth0\n");
  EXPECT_EQ(plugins_.Stdin("a", "ADD"),
            R"({"type":"a","k":1,"name":"net","cniVersion":"1.0.0"})");
  EXPECT_EQ(PrevResult("b", "ADD"), kResultOfA);
  EXPECT_EQ(PrevResult("c", "ADD"), kResultOfB);
  EXPECT_EQ(progress_.begun, 3u);
  EXPECT_EQ(DumpCniJson(*progress_.result), kResultOfC);

  plugins_.ClearLog();
  EXPECT_THAT(CheckCniChain(exec_, config, attachment_, *progress_.result),
              IsOk());
  EXPECT_EQ(plugins_.Log(), "a CHECK eth0\nb CHECK eth0\nc CHECK eth0\n");
  EXPECT_EQ(PrevResult("a", "CHECK"), kResultOfC);

  plugins_.ClearLog();
  EXPECT_THAT(DelCniChain(exec_, config, attachment_, progress_), IsOk());
  EXPECT_EQ(plugins_.Log(), "c DEL eth0\nb DEL eth0\na DEL eth0\n");
  EXPECT_EQ(PrevResult("a", "DEL"), kResultOfC);
}

TEST_F(CniChainTest, FailedAddIsUndoneFromThePluginThatFailed) {
  plugins_.Install("b", FakePlugins::Fail("ADD", 100, "no"));
  CniNetworkConfig config = Config("1.0.0");
  EXPECT_THAT(
      AddCniChain(exec_, config, attachment_, progress_),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(HasSubstr("plugin \"b\""), HasSubstr("code 100"))));
  EXPECT_EQ(progress_.begun, 2u);
  EXPECT_THAT(DelCniChain(exec_, config, attachment_, progress_), IsOk());
  EXPECT_EQ(plugins_.Log(), "a ADD eth0\nb ADD eth0\nb DEL eth0\na DEL eth0\n");
  EXPECT_EQ(PrevResult("b", "DEL"), kResultOfA);
}

TEST_F(CniChainTest, AddThatPrintsNoResultFails) {
  const std::pair<const char*, const char*> cases[] = {
      {"exit 0\n", "printed no result: nothing"},
      {"echo garbage\n", "printed no result: parse error"},
      {"echo '{}{}'\n", "printed no result: parse error"},
      {"echo '[]'\n", "the document is not an object"}};
  for (const auto& [body, error] : cases) {
    plugins_.Install("b", body);
    CniChainProgress progress;
    EXPECT_THAT(
        AddCniChain(exec_, Config("1.0.0"), attachment_, progress),
        StatusIs(absl::StatusCode::kInternal,
                 AllOf(HasSubstr("plugin \"b\" ADD"), HasSubstr(error))))
        << body;
    EXPECT_EQ(progress.begun, 2u) << "it may have done something";
  }
}

TEST_F(CniChainTest, DelTriesAllAndJoinsTheErrors) {
  plugins_.Install("a", FakePlugins::Fail("DEL", 5, "disk"));
  plugins_.Install("c", FakePlugins::Fail("DEL", 11, "later"));
  progress_.begun = 3;
  EXPECT_THAT(DelCniChain(exec_, Config("1.0.0"), attachment_, progress_),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("code 11: later; plugin \"a\""),
                             HasSubstr("code 5: disk"))));
  EXPECT_EQ(plugins_.Log(), "c DEL eth0\nb DEL eth0\na DEL eth0\n");
  EXPECT_EQ(PrevResult("b", "DEL"), "none") << "none is known";
}

TEST_F(CniChainTest, OldListsHaveNoCheckAndNoResultForDel) {
  CniNetworkConfig config = Config("0.3.1");
  progress_ = {3, *ParseCniJson(kResultOfC)};
  EXPECT_THAT(DelCniChain(exec_, config, attachment_, progress_), IsOk());
  EXPECT_EQ(PrevResult("a", "DEL"), "none");
  plugins_.ClearLog();
  EXPECT_THAT(CheckCniChain(exec_, config, attachment_, *progress_.result),
              IsOk());
  EXPECT_EQ(plugins_.Log(), "");
}

TEST_F(CniChainTest, CheckIsSkippedWhenDisabledAndStopsAtTheFirstError) {
  CniJson result = *ParseCniJson(kResultOfC);
  EXPECT_THAT(CheckCniChain(exec_, Config("1.0.0", "\"disableCheck\":true,"),
                            attachment_, result),
              IsOk());
  EXPECT_EQ(plugins_.Log(), "");
  plugins_.Install("b", FakePlugins::Fail("CHECK", 101, "address is gone"));
  EXPECT_THAT(CheckCniChain(exec_, Config("1.0.0"), attachment_, result),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("CHECK: code 101: address is gone")));
  EXPECT_EQ(plugins_.Log(), "a CHECK eth0\nb CHECK eth0\n");
}

TEST_F(CniChainTest, NextPluginIsToldInTheVersionOfTheList) {
  CniNetworkConfig config = Config("0.3.1");
  ASSERT_THAT(AddCniChain(exec_, config, attachment_, progress_), IsOk());
  EXPECT_EQ(PrevResult("b", "ADD"),
            R"({"cniVersion":"0.3.1","ips":[{"address":"10.0.0.1/8",)"
            R"("version":"4"}],"dns":{}})")
      << "the plugin answered in 1.0.0";
  EXPECT_EQ((*progress_.result)["cniVersion"], "0.3.1");
}

TEST_F(CniChainTest, ResultOfAnUnknownVersionFails) {
  plugins_.Install("a", "echo '{\"cniVersion\":\"7.0.0\"}'\n");
  EXPECT_THAT(
      AddCniChain(exec_, Config("1.0.0"), attachment_, progress_),
      StatusIs(absl::StatusCode::kInternal,
               HasSubstr("plugin \"a\" ADD printed no result: cniVersion "
                         "\"7.0.0\" is not supported")));
}

TEST_F(CniChainTest, CachedResultOfAnotherVersionIsConverted) {
  progress_ = {3, *ParseCniJson(R"({"cniVersion":"0.4.0","dns":{},
      "ips":[{"version":"4","address":"10.0.0.3/8"}]})")};
  EXPECT_THAT(DelCniChain(exec_, Config("1.0.0"), attachment_, progress_),
              IsOk());
  EXPECT_EQ(PrevResult("a", "DEL"), kResultOfC);
  EXPECT_THAT(
      CheckCniChain(exec_, Config("1.0.0"), attachment_, *progress_.result),
      IsOk());
  EXPECT_EQ(PrevResult("a", "CHECK"), kResultOfC);
}

TEST_F(CniChainTest, StatusStopsAtTheFirstThatCannot) {
  plugins_.Install("b", FakePlugins::Fail("STATUS", 50, "pool is used up"));
  EXPECT_THAT(StatusCniChain(exec_, Config("1.1.0")),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("STATUS: code 50: pool is used up")));
  EXPECT_EQ(plugins_.Log(), "a STATUS \nb STATUS \n");
  EXPECT_THAT(plugins_.Env("a", "STATUS"),
              AllOf(HasSubstr("CNI_CONTAINERID=\n"), HasSubstr("CNI_IFNAME=\n"),
                    HasSubstr("CNI_NETNS=\n")));
  plugins_.ClearLog();
  EXPECT_THAT(StatusCniChain(exec_, Config("1.0.0")), IsOk());
  EXPECT_EQ(plugins_.Log(), "") << "STATUS came with 1.1.0";
}

TEST_F(CniChainTest, GcTellsAllPluginsWhatIsValid) {
  plugins_.Install("a", FakePlugins::Fail("GC", 5, "disk"));
  plugins_.Install("c", FakePlugins::Fail("GC", 11, "later"));
  EXPECT_THAT(
      GcCniChain(exec_, Config("1.1.0"), {{"pod", "eth0"}, {"pod", "eth1"}}),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(HasSubstr("code 5: disk"), HasSubstr("code 11: later"))));
  EXPECT_EQ(plugins_.Log(), "a GC \nb GC \nc GC \n");
  EXPECT_THAT(plugins_.Stdin("b", "GC"),
              HasSubstr(R"("cni.dev/valid-attachments":[)"
                        R"({"containerID":"pod","ifname":"eth0"},)"
                        R"({"containerID":"pod","ifname":"eth1"}])"));
  plugins_.ClearLog();
  EXPECT_THAT(GcCniChain(exec_, Config("1.1.0", "\"disableGC\":true,"), {}),
              IsOk());
  EXPECT_THAT(GcCniChain(exec_, Config("1.0.0"), {}), IsOk());
  EXPECT_EQ(plugins_.Log(), "");
}

TEST_F(CniChainTest, MissingPluginIsFoundOutBeforehand) {
  EXPECT_THAT(FindCniPlugins(exec_, Config("1.0.0")), IsOk());
  ASSERT_THAT(RemoveFile(plugins_.path() + "/c"), IsOk());
  EXPECT_THAT(FindCniPlugins(exec_, Config("1.0.0")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"c\"")));
}

TEST(DeriveCniPluginConfig, GivesRuntimeConfigForDeclaredCapabilitiesOnly) {
  CniNetworkConfig config = *ParseCniNetworkConfig(R"({
      "name": "net", "cniVersion": "0.4.0", "plugins": [
        {"type": "portmap", "big": 9007199254740993,
         "capabilities": {"portMappings": true, "mac": false, "ips": true}},
        {"type": "tuning"}]})");
  CniJson args = *ParseCniJson(
      R"({"portMappings":[{"hostPort":80}],"mac":"m","bandwidth":{}})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 0, args, nullptr),
            R"({"type":"portmap","big":9007199254740993,"name":"net",)"
            R"("cniVersion":"0.4.0",)"
            R"("runtimeConfig":{"portMappings":[{"hostPort":80}]},)"
            R"("args":{"cni":{"mac":"m"}}})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 1, args, nullptr),
            R"({"type":"tuning","name":"net","cniVersion":"0.4.0",)"
            R"("args":{"cni":{"mac":"m"}}})")
      << "mac, which no plugin of the list declares, has another way";
}

TEST(DeriveCniPluginConfig, IpsGoToArgsOnlyIfNoPluginDeclaresThem) {
  CniJson args = *ParseCniJson(R"({"ips":["10.0.0.9"]})");
  CniNetworkConfig config = *ParseCniNetworkConfig(
      R"({"name":"net","plugins":[{"type":"a"},
          {"type":"b","capabilities":{"ips":true}}]})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 0, args, nullptr),
            R"({"type":"a","name":"net","cniVersion":"0.1.0"})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 1, args, nullptr),
            R"({"type":"b","name":"net","cniVersion":"0.1.0",)"
            R"("runtimeConfig":{"ips":["10.0.0.9"]}})");
  config = *ParseCniNetworkConfig(
      R"({"name":"net","type":"a","args":{"cni":{"labels":[]},"x":1}})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 0, args, nullptr),
            R"({"name":"net","type":"a",)"
            R"("args":{"cni":{"labels":[],"ips":["10.0.0.9"]},"x":1},)"
            R"("cniVersion":"0.1.0"})");
}

TEST(DeriveCniPluginConfig, ReservedKeysOfTheFileDoNotReachThePlugin) {
  CniNetworkConfig config = *ParseCniNetworkConfig(R"({
      "name": "net", "cniVersion": "1.0.0", "plugins": [
        {"type": "a", "name": "x", "cniVersion": "0.1.0", "prevResult": {},
         "runtimeConfig": {"mac": "m"}, "args": {"cni": {"mac": "m"}}}]})");
  EXPECT_EQ(DeriveCniPluginConfig(config, 0, CniJson::object(), nullptr),
            R"({"type":"a","name":"net","cniVersion":"1.0.0",)"
            R"("args":{"cni":{"mac":"m"}}})");
}

}  // namespace
}  // namespace davit
