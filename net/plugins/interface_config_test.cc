#include "net/plugins/interface_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

PluginRequest Request(const std::string& text, const std::string& args = "") {
  return {"ADD", "pod-1", "eth0", "/ns",
          args,  "/cni",  text,   *JsonObject::Parse(text),
          "net", "1.0.0"};
}

std::string MacOf(const std::string& text, const std::string& args = "") {
  absl::StatusOr<InterfaceConfig> config =
      ParseInterfaceConfig(Request(text, args));
  if (!config.ok()) return std::string(config.status().message());
  return config->mac.has_value() ? config->mac->ToString() : "none";
}

TEST(InterfaceConfigTest, Defaults) {
  ASSERT_OK_AND_ASSIGN(InterfaceConfig config,
                       ParseInterfaceConfig(Request("{}")));
  EXPECT_FALSE(config.ip_masq);
  EXPECT_EQ(config.mtu, 0u);
  EXPECT_EQ(config.mac, std::nullopt);
  EXPECT_TRUE(config.dns.empty());
  EXPECT_FALSE(config.enable_dad);
  EXPECT_FALSE(config.has_ipam);
}

TEST(InterfaceConfigTest, MacByPrecedence) {
  const std::string runtime =
      R"("runtimeConfig": {"mac": "02:00:00:00:00:01"})";
  const std::string args = R"("args": {"cni": {"mac": "02:00:00:00:00:02"}})";
  const std::string env = "IgnoreUnknown=1;MAC=02:00:00:00:00:03";
  EXPECT_EQ(MacOf("{" + runtime + "," + args + "}", env), "02:00:00:00:00:01");
  EXPECT_EQ(MacOf("{" + args + "}", env), "02:00:00:00:00:02");
  EXPECT_EQ(MacOf("{}", env), "02:00:00:00:00:03");
  EXPECT_EQ(MacOf("{}"), "none");
  EXPECT_THAT(MacOf("{}", "MAC=03:00:00:00:00:01"),
              HasSubstr("mac: MAC address 03:00:00:00:00:01 is a group"));
}

TEST(InterfaceConfigTest, MacStaysWithThePodsName) {
  const std::string web = MacOf("{}", "K8S_POD_NAME=web");
  EXPECT_EQ(web, MacOf("{}", "IgnoreUnknown=1;K8S_POD_NAME=web"));
  EXPECT_NE(web, "none");
  EXPECT_NE(web, MacOf("{}", "K8S_POD_NAME=web2"));
  EXPECT_NE(web, MacOf("{}", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=web"));
}

TEST(InterfaceConfigTest, ErrorsNameTheField) {
  for (const auto& [text, error] : {
           std::pair(R"({"mtu": -1})", "mtu: -1 is not in 0..65535"),
           std::pair(R"({"mtu": 70000})", "mtu: 70000"),
           std::pair(R"({"mtu": "1500"})", "mtu: want a whole number"),
           std::pair(R"({"ipMasq": "yes"})", "ipMasq: want true or false"),
           std::pair(R"({"ipMasqBackend": "pf"})", "unknown backend \"pf\""),
           std::pair(R"({"dns": []})", "dns: want an object"),
           std::pair(R"({"runtimeConfig": {"mac": "x"}})", "mac: invalid MAC"),
       }) {
    EXPECT_THAT(ParseInterfaceConfig(Request(text)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)));
  }
}

TEST(InterfaceConfigTest, MacKeyIsReadOnlyIfThePluginHasIt) {
  PluginRequest request = Request(R"({"mac": "02:00:00:00:00:07"})");
  EXPECT_EQ(ParseInterfaceConfig(request)->mac, std::nullopt);
  EXPECT_EQ(ParseInterfaceConfig(request, MacKey::kRead)->mac->ToString(),
            "02:00:00:00:00:07");
  request.args = "MAC=02:00:00:00:00:08";
  EXPECT_EQ(ParseInterfaceConfig(request, MacKey::kRead)->mac->ToString(),
            "02:00:00:00:00:08");
}

TEST(InterfaceConfigTest, HostInterfaceName) {
  EXPECT_EQ(ParseInterfaceConfig(Request("{}"))->host_ifname, "");
  EXPECT_EQ(ParseInterfaceConfig(Request(R"({"hostInterfaceName": "ve-a"})"))
                ->host_ifname,
            "ve-a");
  EXPECT_EQ(ParseInterfaceConfig(Request(R"({"hostInterfaceName": "ve-a",
                      "runtimeConfig": {"hostInterfaceName": "ve-b"}})"))
                ->host_ifname,
            "ve-b");
  for (const char* bad : {"..", "a/b", "a:b", "0123456789abcdef", "a b"}) {
    EXPECT_THAT(
        ParseInterfaceConfig(
            Request(absl::StrCat(R"({"hostInterfaceName": ")", bad, "\"}"))),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr(absl::StrCat("hostInterfaceName: \"", bad))));
  }
}

TEST(InterfaceConfigTest, DelDoesNotMindWhatOnlyAddReads) {
  const PluginRequest request = Request(
      R"({"mtu": -1, "dns": 5, "hostInterfaceName": "a/b", "ipMasq": true,
          "ipam": {"type": "static"}})");
  EXPECT_FALSE(ParseInterfaceConfig(request).ok());
  ASSERT_OK_AND_ASSIGN(InterfaceConfig config,
                       ParseInterfaceConfigForDel(request));
  EXPECT_TRUE(config.ip_masq);
  EXPECT_TRUE(config.has_ipam);
  EXPECT_FALSE(
      ParseInterfaceConfigForDel(Request(R"({"ipam": {}})"))->has_ipam);
}

TEST(InterfaceConfigTest, PrevResult) {
  ASSERT_OK_AND_ASSIGN(auto none, ParsePrevResult(Request("{}")));
  EXPECT_EQ(none, std::nullopt);
  ASSERT_OK_AND_ASSIGN(
      auto some,
      ParsePrevResult(
          Request(R"({"prevResult": {"ips": [{"address": "10.0.0.2/24"}]}})")));
  ASSERT_TRUE(some.has_value());
  ASSERT_EQ(some->ips.size(), 1u);
  EXPECT_EQ(some->ips.front().address.ToString(), "10.0.0.2/24");
  EXPECT_THAT(ParsePrevResult(Request(R"({"prevResult": {"ips": [{}]}})")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("prevResult.ips[0].address: missing")));
}

}  // namespace
}  // namespace davit
