#include "net/plugins/ptp_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

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
  absl::StatusOr<PtpConfig> config = ParsePtpConfig(Request(text, args));
  if (!config.ok()) return std::string(config.status().message());
  return config->mac.has_value() ? config->mac->ToString() : "none";
}

TEST(PtpConfigTest, Defaults) {
  ASSERT_OK_AND_ASSIGN(PtpConfig config, ParsePtpConfig(Request("{}")));
  EXPECT_FALSE(config.ip_masq);
  EXPECT_EQ(config.mtu, 0u);
  EXPECT_EQ(config.mac, std::nullopt);
  EXPECT_TRUE(config.dns.empty());
}

TEST(PtpConfigTest, MacByPrecedence) {
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

TEST(PtpConfigTest, MacStaysWithThePodsName) {
  const std::string web = MacOf("{}", "K8S_POD_NAME=web");
  EXPECT_EQ(web, MacOf("{}", "IgnoreUnknown=1;K8S_POD_NAME=web"));
  EXPECT_NE(web, "none");
  EXPECT_NE(web, MacOf("{}", "K8S_POD_NAME=web2"));
  EXPECT_NE(web, MacOf("{}", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=web"));
}

TEST(PtpConfigTest, ErrorsNameTheField) {
  for (const auto& [text, error] : {
           std::pair(R"({"mtu": -1})", "mtu: -1 is not in 0..65535"),
           std::pair(R"({"mtu": 70000})", "mtu: 70000"),
           std::pair(R"({"mtu": "1500"})", "mtu: want a whole number"),
           std::pair(R"({"ipMasq": "yes"})", "ipMasq: want true or false"),
           std::pair(R"({"ipMasqBackend": "pf"})", "unknown backend \"pf\""),
           std::pair(R"({"dns": []})", "dns: want an object"),
           std::pair(R"({"runtimeConfig": {"mac": "x"}})", "mac: invalid MAC"),
       }) {
    EXPECT_THAT(ParsePtpConfig(Request(text)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)));
  }
}

TEST(PtpConfigTest, PrevResult) {
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
