#include "net/plugins/firewall_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "net/plugins/cni_error.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

absl::StatusOr<FirewallConfig> Parse(const std::string& text) {
  return ParseFirewallConfig({"ADD", "pod-1", "eth0", "/ns", "", "/cni", text,
                              *JsonObject::Parse(text), "net", "1.0.0"});
}

TEST(FirewallConfigTest, Defaults) {
  ASSERT_OK_AND_ASSIGN(FirewallConfig config, Parse("{}"));
  EXPECT_EQ(config.admin_chain, "CNI-ADMIN");
  EXPECT_EQ(config.ingress, FirewallPod::Ingress::kOpen);
}

TEST(FirewallConfigTest, ReadsEveryKey) {
  for (const auto& [text, ingress] :
       {std::pair("open", FirewallPod::Ingress::kOpen),
        std::pair("same-bridge", FirewallPod::Ingress::kSameBridge),
        std::pair("isolated", FirewallPod::Ingress::kIsolated)}) {
    ASSERT_OK_AND_ASSIGN(FirewallConfig config,
                         Parse(std::string(R"({"backend": "iptables",
                              "iptablesAdminChainName": "MINE",
                              "firewalldZone": "work", "ingressPolicy": ")") +
                               text + "\"}"));
    EXPECT_EQ(config.admin_chain, "MINE");
    EXPECT_EQ(config.ingress, ingress);
  }
}

TEST(FirewallConfigTest, ErrorsNameTheField) {
  EXPECT_THAT(Parse(R"({"ingressPolicy": "shut"})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "unknown ingress policy: \"shut\""));
  EXPECT_THAT(Parse(R"({"ingressPolicy": 1})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("ingressPolicy: want a string")));
  EXPECT_THAT(
      Parse(R"({"iptablesAdminChainName": "A2345678901234567890123456789"})"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("iptablesAdminChainName: \"A2345")));
  absl::Status status = Parse(R"({"backend": "firewalld"})").status();
  EXPECT_EQ(CniCodeOf(status), 2);
  EXPECT_THAT(std::string(status.message()), HasSubstr("backend: "));
}

}  // namespace
}  // namespace davit
