#include "net/cni/network_config.h"

#include <gmock/gmock.h>

#include "net/cni/json.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A list with `extra` members, such as R"("disableCheck": true,)".
std::string ListWith(const std::string& extra) {
  return R"({"name": "n", )" + extra + R"("plugins": [{"type": "ptp"}]})";
}

TEST(CniJson, KeepsOrderAndBigIntegers) {
  const char text[] = R"({"z":9007199254740993,"a":18446744073709551615})";
  ASSERT_OK_AND_ASSIGN(CniJson json, ParseCniJson(text));
  EXPECT_EQ(DumpCniJson(json), text);
}

TEST(CniJson, RefusesGarbageWithAShortMessage) {
  for (const char* text : {"", "{", "{} {}", "{\"a\":1,}", "nul", "\x80",
                           "\"\xff\"", "[1e999]", "{\"a\"}"}) {
    EXPECT_THAT(ParseCniJson(text), StatusIs(kInvalid)) << text;
  }
  EXPECT_THAT(ParseCniJson("{} {}"),
              StatusIs(kInvalid, Not(HasSubstr("json.exception"))));
  absl::Status status =
      ParseCniJson("\"" + std::string(10 << 20, '\x01')).status();
  EXPECT_THAT(status, StatusIs(kInvalid, SizeIs(::testing::Lt(1500))));
}

TEST(CniJson, RefusesNestingThatWouldExhaustTheStack) {
  std::string deep = std::string(1 << 20, '[') + std::string(1 << 20, ']');
  EXPECT_THAT(ParseCniJson(deep), StatusIs(kInvalid, HasSubstr("nested")));
  EXPECT_THAT(ParseCniJson("\"[[[[\\\"" + std::string(200, '[') + "\""), IsOk())
      << "brackets in a string do not nest";
}

TEST(CniJson, DumpOfBrokenTextDoesNotThrow) {
  EXPECT_THAT(DumpCniJson(CniJson("\xff")), HasSubstr("\xEF\xBF\xBD"));
}

TEST(CniNetworkConfig, ParsesAListAndKeepsWhatItDoesNotKnow) {
  const std::string text = R"({
    "cniVersion": "1.0.0", "name": "pods.v1_a-b", "disableCheck": true,
    "plugins": [
      {"type": "ptp", "bandWidth": {"x": [1, null]}, "ipam": {"type": "host-local"}},
      {"type": "portmap", "capabilities": {"portMappings": true}}
    ]})";
  ASSERT_OK_AND_ASSIGN(CniNetworkConfig config, ParseCniNetworkConfig(text));
  EXPECT_EQ(config.name, "pods.v1_a-b");
  EXPECT_EQ(config.cni_version, "1.0.0");
  EXPECT_TRUE(config.disable_check);
  ASSERT_EQ(config.plugins.size(), 2u);
  EXPECT_EQ(config.plugins[1].type, "portmap");
  EXPECT_EQ(
      DumpCniJson(config.plugins[0].config),
      R"({"type":"ptp","bandWidth":{"x":[1,null]},"ipam":{"type":"host-local"}})");
  EXPECT_EQ(config.text, text);
}

TEST(CniNetworkConfig, ASinglePluginBecomesAListThatParsesToTheSame) {
  ASSERT_OK_AND_ASSIGN(
      CniNetworkConfig config,
      ParseCniNetworkConfig(
          R"({"cniVersion":"0.3.1","name":"n","type":"bridge","mtu":9000})"));
  ASSERT_OK_AND_ASSIGN(CniNetworkConfig again,
                       ParseCniNetworkConfig(config.text));
  for (const CniNetworkConfig& c : {config, again}) {
    EXPECT_EQ(c.name, "n");
    EXPECT_EQ(c.cni_version, "0.3.1");
    ASSERT_EQ(c.plugins.size(), 1u);
    EXPECT_EQ(c.plugins[0].type, "bridge");
    EXPECT_EQ(c.plugins[0].config["mtu"], 9000);
  }
  EXPECT_EQ(again.text, config.text);
}

TEST(CniNetworkConfig, ChoosesTheHighestVersionThatWeKnow) {
  auto version = [](const std::string& extra) {
    absl::StatusOr<CniNetworkConfig> config =
        ParseCniNetworkConfig(ListWith(extra));
    return config.ok() ? config->cni_version
                       : std::string(config.status().message());
  };
  EXPECT_EQ(version(""), "0.1.0");
  EXPECT_EQ(version(R"("cniVersion": "",)"), "0.1.0");
  EXPECT_EQ(version(R"("cniVersion": "0.4.0",)"), "0.4.0");
  EXPECT_EQ(version(R"("cniVersion": "1.1.0",)"), "1.1.0");
  EXPECT_EQ(version(R"("cniVersion": "0.4.0",
                       "cniVersions": ["9.0.0", "1.0.0", "0.3.1"],)"),
            "1.0.0");
  EXPECT_EQ(version(R"("cniVersions": ["2.0.0", "1.1.0"],)"), "1.1.0");
  EXPECT_THAT(version(R"("cniVersion": "0.3.9",)"),
              AllOf(HasSubstr("\"0.3.9\" is not supported"),
                    HasSubstr("0.3.0, 0.3.1")));
}

TEST(CniNetworkConfig, TakesBooleansInQuotesAsGoDoes) {
  auto disabled = [](const std::string& value) {
    return ParseCniNetworkConfig(ListWith("\"disableCheck\": " + value + ","));
  };
  EXPECT_TRUE(disabled("\"true\"")->disable_check);
  EXPECT_FALSE(disabled("\"false\"")->disable_check);
  EXPECT_FALSE(disabled("null")->disable_check);
  EXPECT_THAT(disabled("1"), StatusIs(kInvalid,
                                      "disableCheck is not true or "
                                      "false"));
  EXPECT_THAT(disabled("\"yes\""), StatusIs(kInvalid));
}

TEST(CniNetworkConfig, ErrorsNameTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "the document is not an object"},
      {R"(null)", "the document is not an object"},
      {R"({"plugins":[{"type":"a"}]})", "name is missing"},
      {R"({"name":7,"plugins":[{"type":"a"}]})", "name is not a string"},
      {R"({"name":"../x","plugins":[{"type":"a"}]})", "name \"../x\" does not"},
      {R"({"name":"-x","plugins":[{"type":"a"}]})", "name \"-x\" does not"},
      {R"({"name":"a\nb","plugins":[{"type":"a"}]})",
       "name \"a\\nb\" does not"},
      {R"({"name":"n"})", "plugins is missing or empty"},
      {R"({"name":"n","plugins":[]})", "plugins is missing or empty"},
      {R"({"name":"n","plugins":{}})", "plugins is not a list of objects"},
      {R"({"name":"n","plugins":["a"]})", "plugins is not a list of objects"},
      {R"({"name":"n","plugins":[{"type":"a"},{}]})",
       "plugins[1].type is missing"},
      {R"({"name":"n","plugins":[{"type":[]}]})",
       "plugins[0].type is not a string"},
      {R"({"name":"n","plugins":[{"type":"/bin/sh"}]})",
       "plugins[0].type \"/bin/sh\" is not a plain file name"},
      {R"({"name":"n","plugins":[{"type":".."}]})",
       "plugins[0].type \"..\" is not"},
      {R"({"name":"n","plugins":[{"type":"a\u0000b"}]})",
       "plugins[0].type \"a\\x00\\x62\" is not"},
      {R"({"name":"n","plugins":[{"type":"a","capabilities":["x"]}]})",
       "plugins[0].capabilities does not map"},
      {R"({"name":"n","plugins":[{"type":"a","capabilities":{"x":1}}]})",
       "plugins[0].capabilities does not map"},
      {R"({"name":"n","cniVersion":1,"plugins":[{"type":"a"}]})",
       "cniVersion is not a string"},
      {R"({"name":"n","cniVersions":"1","plugins":[{"type":"a"}]})",
       "cniVersions is not a list of strings"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_THAT(ParseCniNetworkConfig(text),
                StatusIs(kInvalid, HasSubstr(error)))
        << text;
  }
}

TEST(CniNetworkConfig, MorePluginsAreInlinedUnlessTheListForbidsIt) {
  CniPluginLoader loader =
      [](const std::string& name) -> absl::StatusOr<std::vector<CniJson>> {
    EXPECT_EQ(name, "n");
    return std::vector<CniJson>{{{"type", "tuning"}}};
  };
  ASSERT_OK_AND_ASSIGN(CniNetworkConfig config,
                       ParseCniNetworkConfig(ListWith(""), loader));
  ASSERT_EQ(config.plugins.size(), 2u);
  EXPECT_EQ(config.plugins[1].type, "tuning");
  // The text stands alone, without the loader and also with one.
  EXPECT_EQ(ParseCniNetworkConfig(config.text)->plugins.size(), 2u);
  EXPECT_EQ(ParseCniNetworkConfig(config.text, loader)->plugins.size(), 2u);

  EXPECT_EQ(ParseCniNetworkConfig(ListWith(R"("loadOnlyInlinedPlugins":true,)"),
                                  loader)
                ->plugins.size(),
            1u);
  EXPECT_EQ(ParseCniNetworkConfig(R"({"name":"n"})", loader)->plugins.size(),
            1u);
  EXPECT_THAT(
      ParseCniNetworkConfig(
          ListWith(""),
          [](const std::string&) -> absl::StatusOr<std::vector<CniJson>> {
            return absl::PermissionDeniedError("no");
          }),
      StatusIs(absl::StatusCode::kPermissionDenied, "no"));
}

TEST(CniVersion, OrderIsThatOfTheSpecification) {
  EXPECT_TRUE(CniVersionAtLeast("0.4.0", "0.4.0"));
  EXPECT_TRUE(CniVersionAtLeast("1.1.0", "0.4.0"));
  EXPECT_FALSE(CniVersionAtLeast("0.3.1", "0.4.0"));
  EXPECT_FALSE(CniVersionAtLeast("nonsense", "0.4.0"));
}

TEST(CniNames, IfnameRules) {
  for (const char* good : {"eth0", "a", "123456789012345", "a-b.c"}) {
    EXPECT_THAT(ValidateCniIfname(good), IsOk()) << good;
  }
  for (const char* bad :
       {"", ".", "..", "a/b", "a:1", "a b", "a\n", "1234567890123456"}) {
    EXPECT_THAT(ValidateCniIfname(bad), StatusIs(kInvalid, HasSubstr("ifname")))
        << bad;
  }
  EXPECT_THAT(ValidateCniIdentifier("pod_id", ""),
              StatusIs(kInvalid, HasSubstr("pod_id \"\"")));
}

}  // namespace
}  // namespace davit
