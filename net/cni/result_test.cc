#include "net/cni/result.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<InterfaceStatus> StatusOf(const std::string& text) {
  absl::StatusOr<CniJson> result = ParseCniResult(text, "1.0.0");
  if (!result.ok()) return result.status();
  return InterfaceStatusOfCniResult(*result, "net", "eth0");
}

TEST(CniResult, PtpOf1_0) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "veth1234abcd", "mac": "9a:00:00:00:00:01"},
                   {"name": "eth0", "mac": "9a:00:00:00:00:02",
                    "sandbox": "/var/run/netns/cni-1"}],
    "ips": [{"interface": 1, "address": "172.16.28.2/24",
             "gateway": "172.16.28.1"},
            {"interface": 1, "address": "fd00::2/64", "gateway": "fd00::1"}],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "172.16.28.9"}],
    "dns": {"nameservers": ["9.9.9.9"], "domain": "d", "search": ["s1", "s2"],
            "options": ["ndots:5"]}})"));
  EXPECT_EQ(status.network, "net");
  EXPECT_EQ(status.ifname, "eth0");
  EXPECT_EQ(status.mac, "9a:00:00:00:00:02");
  EXPECT_EQ(status.host_ifname, "veth1234abcd");
  EXPECT_THAT(status.addresses, ElementsAre("172.16.28.2/24", "fd00::2/64"));
  EXPECT_THAT(status.gateways, ElementsAre("172.16.28.1", "fd00::1"));
  EXPECT_THAT(status.routes, ElementsAre(Route{"0.0.0.0/0", ""},
                                         Route{"10.0.0.0/8", "172.16.28.9"}));
  EXPECT_EQ(status.dns,
            (DnsConfig{{"9.9.9.9"}, "d", {"s1", "s2"}, {"ndots:5"}}));
}

TEST(CniResult, BridgeOf0_4HasTheVethBehindTheBridge) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "cniVersion": "0.4.0",
    "interfaces": [{"name": "cni0"}, {"name": "vethX"},
                   {"name": "eth0", "sandbox": "/n", "mac": "m"},
                   {"name": "bwp0"}],
    "ips": [{"version": "4", "interface": 2, "address": "10.1.0.2/16",
             "gateway": "10.1.0.1"},
            {"version": "4", "interface": 0, "address": "10.1.0.1/16"}],
    "dns": {}})"));
  EXPECT_EQ(status.host_ifname, "vethX");
  EXPECT_THAT(status.addresses, ElementsAre("10.1.0.2/16"));
}

TEST(CniResult, AddressesWithoutAnInterfaceCount) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "interfaces": [{"name": "eth0", "sandbox": "/n"}],
    "ips": [{"address": "10.0.0.1/8"}, {"interface": -1,
             "address": "10.0.0.2/8"}, {"interface": null,
             "address": "10.0.0.3/8"}, {"interface": 7,
             "address": "10.0.0.4/8"}]})"));
  EXPECT_THAT(status.addresses,
              ElementsAre("10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8"));
}

TEST(CniResult, SameNameOnTheHostIsNotThePodsEnd) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "interfaces": [{"name": "eth0", "mac": "host"},
                   {"name": "eth0", "mac": "pod", "sandbox": "/n"}]})"));
  EXPECT_EQ(status.mac, "pod");
  EXPECT_EQ(status.host_ifname, "eth0");
}

TEST(CniResult, ShapeOf0_2) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "cniVersion": "0.2.0",
    "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}]},
    "ip6": {"ip": "fd00::2/64", "routes": [{"dst": "::/0"}]},
    "dns": {"nameservers": ["10.0.0.1"]}})"));
  EXPECT_THAT(status.addresses, ElementsAre("10.0.0.2/24", "fd00::2/64"));
  EXPECT_THAT(status.gateways, ElementsAre("10.0.0.1"));
  EXPECT_THAT(status.routes,
              ElementsAre(Route{"0.0.0.0/0", "10.0.0.1"}, Route{"::/0", ""}));
  EXPECT_THAT(status.dns.nameservers, ElementsAre("10.0.0.1"));
}

TEST(CniResult, MembersOf1_1AreNoObstacle) {
  ASSERT_OK_AND_ASSIGN(InterfaceStatus status, StatusOf(R"({
    "cniVersion": "1.1.0",
    "interfaces": [{"name": "eth0", "sandbox": "/n", "mtu": 1450,
                    "socketPath": "/s", "pciID": "0"}],
    "routes": [{"dst": "::/0", "mtu": 1400, "table": 5, "scope": 0}]})"));
  EXPECT_THAT(status.routes, ElementsAre(Route{"::/0", ""}));
}

TEST(CniResult, NullAndVersionlessResultsGetTheVersionOfTheConfig) {
  EXPECT_EQ((*ParseCniResult("null\n", "0.4.0"))["cniVersion"], "0.4.0");
  EXPECT_EQ((*ParseCniResult("{}", "0.4.0"))["cniVersion"], "0.4.0");
  EXPECT_EQ(
      (*ParseCniResult(R"({"cniVersion":"0.3.1"})", "0.4.0"))["cniVersion"],
      "0.3.1");
  EXPECT_THAT(StatusOf("null")->addresses, IsEmpty());
}

TEST(CniResult, ErrorsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "nothing"},
      {" \n", "nothing"},
      {"[]", "the document is not an object"},
      {"{}{}", "unexpected '{'"},
      {R"({"cniVersion":1})", "cniVersion is not a string"},
      {R"({"ips":{}})", "ips is not a list of objects"},
      {R"({"ips":[{}]})", "ips[0].address \"\" is not an address"},
      {R"({"ips":[{"address":"10.0.0.1"}]})", "ips[0].address \"10.0.0.1\""},
      {R"({"ips":[{"address":"10.0.0.1/33"}]})", "ips[0].address"},
      {R"({"ips":[{"address":"10.0.0.1/-1"}]})", "ips[0].address"},
      {R"({"ips":[{"address":"::1/129"}]})", "ips[0].address"},
      {R"({"ips":[{"address":"10.0.0.1/8","gateway":"gw\u0000"}]})",
       "ips[0].gateway \"gw\\x00\" is not an IP address"},
      {R"({"ips":[{"address":"10.0.0.1/8","interface":"0"}]})",
       "ips[0].interface is not an integer"},
      {R"({"interfaces":[{"name":1}]})", "interfaces[0].name is not a string"},
      {R"({"routes":[{"dst":"default"}]})", "routes[0].dst \"default\""},
      {R"({"routes":[{"dst":"::/0","gw":"x"}]})", "routes[0].gw \"x\""},
      {R"({"ip4":7})", "ip4 is not an object"},
      {R"({"ip4":{"ip":"x"}})", "ip4.ip \"x\""},
      {R"({"ip6":{"ip":"::1/128","routes":[{"dst":""}]}})",
       "ip6.routes[0].dst"},
      {R"({"dns":[]})", "dns is not an object"},
      {R"({"dns":{"search":"s"}})", "dns.search is not a list of strings"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_THAT(StatusOf(text), StatusIs(kInvalid, HasSubstr(error))) << text;
  }
}

TEST(CniError, ParsesOnlyErrorObjects) {
  std::optional<CniError> error = ParseCniError(
      R"({"cniVersion":"1.0.0","code":7,"msg":"bad","details":"very"})");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, 7);
  EXPECT_EQ(error->msg, "bad");
  EXPECT_EQ(error->details, "very");
  EXPECT_TRUE(ParseCniError(R"({"code":999})").has_value());
  for (const char* text : {"", "panic: x", "7", "null", "{}", R"({"msg":"m"})",
                           R"({"code":"7"})", R"({"code":7,"msg":[]})"}) {
    EXPECT_FALSE(ParseCniError(text).has_value()) << text;
  }
}

TEST(CniError, CodesTellWhatToDoNext) {
  EXPECT_EQ(StatusCodeOfCniError(11), absl::StatusCode::kUnavailable);
  for (int code : {2, 6, 7}) EXPECT_EQ(StatusCodeOfCniError(code), kInvalid);
  for (int code : {0, 3, 4, 5, 8, 100, 999, -1}) {
    EXPECT_EQ(StatusCodeOfCniError(code), absl::StatusCode::kInternal) << code;
  }
}

}  // namespace
}  // namespace davit
