#include "net/cni/versions.h"

#include <gmock/gmock.h>

#include "net/cni/fake_plugins.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Speaks(const std::string& versions) {
  return "echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[" + versions +
         "]}'\n";
}

std::shared_ptr<const CniNetworkConfig> Config(const std::string& versions) {
  return std::make_shared<const CniNetworkConfig>(*ParseCniNetworkConfig(
      R"({"name":"net",)" + versions +
      R"(,"vendor":1,"plugins":[{"type":"a"},{"type":"b"}]})"));
}

class CniVersionsTest : public ::testing::Test {
 protected:
  FakePlugins plugins_;
  CniExec exec_{{.plugin_dirs = {plugins_.path()}}};
  CniVersions versions_{&exec_};
};

TEST_F(CniVersionsTest, AsksOnceAndAgainWhenTheProgramHasChanged) {
  plugins_.Install("a", Speaks(R"("0.4.0","1.0.0")"));
  EXPECT_THAT(*versions_.Of("a"), ElementsAre("0.4.0", "1.0.0"));
  EXPECT_THAT(*versions_.Of("a"), ElementsAre("0.4.0", "1.0.0"));
  EXPECT_EQ(plugins_.Log(), "a VERSION \n");
  plugins_.Install("a", Speaks(R"("1.1.0")"));
  EXPECT_THAT(*versions_.Of("a"), ElementsAre("1.1.0"));
}

TEST_F(CniVersionsTest, PluginOlderThanVersionSpeaks0_1_0) {
  plugins_.Install(
      "a", FakePlugins::Fail("VERSION", 4, "unknown CNI_COMMAND: VERSION"));
  EXPECT_THAT(*versions_.Of("a"), ElementsAre("0.1.0"));
}

TEST_F(CniVersionsTest, FailuresAreToldAndNotRemembered) {
  plugins_.Install("a", "exit 0\n");
  EXPECT_THAT(versions_.Of("a"), StatusIs(absl::StatusCode::kInternal,
                                          HasSubstr("plugin \"a\" VERSION: ")));
  plugins_.Install("a", "echo '{}'\n");
  EXPECT_THAT(versions_.Of("a"),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("supportedVersions is missing or empty")));
  EXPECT_THAT(versions_.Of("none"), StatusIs(absl::StatusCode::kNotFound));
  plugins_.Install("a", Speaks(R"("1.0.0")"));
  EXPECT_THAT(versions_.Of("a"), IsOk());
}

TEST_F(CniVersionsTest, NegotiatesTheHighestThatAllSpeak) {
  plugins_.Install("a", Speaks(R"("0.3.1","0.4.0","1.0.0","1.1.0")"));
  plugins_.Install("b", Speaks(R"("0.3.1","0.4.0","1.0.0")"));
  auto config = versions_.Negotiate(Config(
      R"("cniVersion":"0.3.1","cniVersions":["0.4.0","1.0.0","1.1.0","9.0"])"));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ((*config)->cni_version, "1.0.0");
  EXPECT_EQ((*config)->text, R"({"name":"net","cniVersion":"1.0.0","vendor":1,)"
                             R"("plugins":[{"type":"a"},{"type":"b"}]})")
      << "kept for DEL, which must be spoken in the same version";
}

TEST_F(CniVersionsTest, OneVersionLeavesNothingToAsk) {
  auto config = versions_.Negotiate(Config(R"("cniVersion":"1.1.0")"));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ((*config)->cni_version, "1.1.0");
  EXPECT_EQ(plugins_.Log(), "");
}

TEST_F(CniVersionsTest, NothingInCommonTellsWhatEachSpeaks) {
  plugins_.Install("a", Speaks(R"("1.1.0")"));
  plugins_.Install("b", Speaks(R"("0.4.0")"));
  EXPECT_THAT(versions_.Negotiate(Config(R"("cniVersions":["0.4.0","1.1.0"])")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("none of the versions 0.4.0, 1.1.0"),
                             HasSubstr("\"a\" 1.1.0; \"b\" 0.4.0"))));
}

}  // namespace
}  // namespace davit
