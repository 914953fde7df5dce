#include "net/plugins/static_ipam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A request whose "ipam" and whose configuration have these members.
PluginRequest Request(const std::string& ipam, const std::string& more = "",
                      const std::string& args = "",
                      const std::string& version = "1.0.0") {
  std::string text =
      absl::StrCat(R"({"name": "net", "cniVersion": ")", version,
                   R"(", "ipam": {"type": "static")", ipam.empty() ? "" : ", ",
                   ipam, "}", more.empty() ? "" : ", ", more, "}");
  return {"ADD", "pod-1", "eth0", "/ns",
          args,  "/cni",  text,   *JsonObject::Parse(text),
          "net", version};
}

// "10.0.0.2/24 via 10.0.0.1", or the error.
std::vector<std::string> Ips(const PluginRequest& request) {
  absl::StatusOr<CniResult> result = StaticAdd(request);
  if (!result.ok()) return {std::string(result.status().message())};
  std::vector<std::string> ips;
  for (const CniIp& ip : result->ips) {
    ips.push_back(ip.address.ToString());
    if (ip.gateway.has_value()) {
      absl::StrAppend(&ips.back(), " via ", ip.gateway->ToString());
    }
  }
  return ips;
}

constexpr char kAddresses[] =
    R"("addresses": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"},
                     {"address": "fd00::2/64"}])";

TEST(StaticIpamTest, GivesWhatTheConfigurationNames) {
  ASSERT_OK_AND_ASSIGN(std::string text,
                       kStaticPlugin.add(Request(absl::StrCat(
                           kAddresses, R"(, "routes": [{"dst": "0.0.0.0/0"},
                                      {"dst": "10.9.0.0/16", "gw": "10.0.0.9"}],
                         "dns": {"nameservers": ["10.0.0.53"]})"))));
  EXPECT_EQ(text, R"({
    "cniVersion": "1.0.0",
    "ips": [
        {
            "address": "10.0.0.2/24",
            "gateway": "10.0.0.1"
        },
        {
            "address": "fd00::2/64"
        }
    ],
    "routes": [
        {
            "dst": "0.0.0.0/0"
        },
        {
            "dst": "10.9.0.0/16",
            "gw": "10.0.0.9"
        }
    ],
    "dns": {
        "nameservers": [
            "10.0.0.53"
        ]
    }
})");
}

TEST(StaticIpamTest, NoAddressIsAResultToo) {
  EXPECT_THAT(Ips(Request("")), IsEmpty());
}

TEST(StaticIpamTest, CniArgsAddAddressesAndGatewaysForThem) {
  EXPECT_THAT(
      Ips(Request(kAddresses, "",
                  "IP=10.0.1.5/24, fd00:1::5/64;GATEWAY=10.0.1.1,fd00:1::1,"
                  "10.0.0.77;K8S_POD_NAME=x")),
      ElementsAre("10.0.0.2/24 via 10.0.0.1", "fd00::2/64",
                  "10.0.1.5/24 via 10.0.1.1", "fd00:1::5/64 via fd00:1::1"));
}

TEST(StaticIpamTest, ArgsReplaceAndRuntimeConfigReplacesThose) {
  const std::string args = R"("args": {"cni": {"ips": ["10.2.0.2/16"]}})";
  EXPECT_THAT(Ips(Request(kAddresses, args, "IP=10.0.1.5/24")),
              ElementsAre("10.2.0.2/16"));
  EXPECT_THAT(Ips(Request(kAddresses,
                          args + R"(, "runtimeConfig": {"ips": ["10.3.0.2/16",
                                                        "fd00::9/64"]})")),
              ElementsAre("10.3.0.2/16", "fd00::9/64"));
  EXPECT_THAT(Ips(Request(kAddresses, R"("runtimeConfig": {"ips": []})")),
              ElementsAre("10.0.0.2/24 via 10.0.0.1", "fd00::2/64"));
}

TEST(StaticIpamTest, ErrorsNameTheField) {
  auto error = [](const PluginRequest& request) {
    return std::string(StaticAdd(request).status().message());
  };
  EXPECT_THAT(error(Request(R"("addresses": [{"address": "10.0.0.2"}])")),
              HasSubstr("ipam.addresses[0].address: invalid CIDR"));
  EXPECT_THAT(error(Request(R"("addresses": [{"gateway": "10.0.0.1"}])")),
              HasSubstr("ipam.addresses[0].address: missing"));
  EXPECT_THAT(error(Request(R"("addresses": [{"address": "10.0.0.2/8",
                                              "gateway": "x"}])")),
              HasSubstr("ipam.addresses[0].gateway: invalid IP"));
  EXPECT_THAT(error(Request("", "", "IP=10.0.0.2")),
              HasSubstr("ARGS: IP: invalid CIDR"));
  EXPECT_THAT(error(Request("", "", "GATEWAY=x")),
              HasSubstr("ARGS: GATEWAY: invalid IP"));
  EXPECT_THAT(error(Request("", R"("runtimeConfig": {"ips": ["10.0.0.2"]})")),
              HasSubstr("runtimeConfig.ips: invalid CIDR"));
  EXPECT_THAT(error(Request("", R"("args": {"cni": {"ips": ["?"]}})")),
              HasSubstr("args.cni.ips: invalid CIDR"));
  EXPECT_THAT(error(Request(R"("routes": [{"gw": "10.0.0.1"}])")),
              HasSubstr("ipam.routes[0].dst: missing"));
  EXPECT_THAT(error(Request(R"("addresses": [{"address": "10.0.0.2/8"},
                                             {"address": "10.0.0.3/8"}])",
                            "", "", "0.2.0")),
              HasSubstr("CNI version 0.2.0 does not support more than 1 "
                        "address per family"));
  EXPECT_FALSE(kStaticPlugin.status(Request("", "", "IP=x")).ok());
  EXPECT_THAT(kStaticPlugin.status(Request(kAddresses)), IsOk());
}

TEST(StaticIpamTest, CheckComparesWithPrevResult) {
  auto check = [](const std::string& ips) {
    return kStaticPlugin.check(
        Request(kAddresses, ips.empty() ? ""
                                        : absl::StrCat(R"("prevResult": {
                  "cniVersion": "1.0.0", "ips": [)",
                                                       ips, "]}")));
  };
  EXPECT_THAT(check(""), StatusIs(absl::StatusCode::kInvalidArgument,
                                  "Required prevResult missing"));
  EXPECT_THAT(check(R"({"address": "10.0.0.2/24", "gateway": "10.0.0.1"},
                       {"address": "fd00::2/64", "gateway": "fd00::1"})"),
              IsOk());
  EXPECT_THAT(check(R"({"address": "10.0.0.2/24", "gateway": "10.0.0.9"},
                       {"address": "fd00::2/64"})"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "static: prevResult lacks 10.0.0.2/24 via 10.0.0.1 for "
                       "interface eth0"));
  EXPECT_THAT(check(R"({"address": "10.0.0.2/24", "gateway": "10.0.0.1"})"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "static: prevResult lacks fd00::2/64 for interface "
                       "eth0"));
}

}  // namespace
}  // namespace davit
