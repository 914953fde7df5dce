#include "net/plugins/bridge_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PluginRequest Request(const std::string& text) {
  return {"ADD", "pod-1", "eth0", "/ns",
          "",    "/cni",  text,   *JsonObject::Parse(text),
          "net", "1.0.0"};
}

BridgeConfig Parse(const std::string& text) {
  absl::StatusOr<BridgeConfig> config = ParseBridgeConfig(Request(text));
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : BridgeConfig();
}

PortVlan Tagged(uint16_t first, uint16_t last) {
  return {.first = first, .last = last};
}
PortVlan Untagged(uint16_t vlan) {
  return {.first = vlan, .last = vlan, .pvid = true, .untagged = true};
}

CniResult ResultOf(const std::string& address, const std::string& gateway) {
  CniIp ip;
  ip.address = *IpPrefix::Parse(address);
  if (!gateway.empty()) ip.gateway = *IpAddress::Parse(gateway);
  CniResult result;
  result.ips.push_back(ip);
  return result;
}

TEST(BridgeConfigTest, Defaults) {
  const BridgeConfig config = Parse("{}");
  EXPECT_EQ(config.bridge, "cni0");
  EXPECT_FALSE(config.is_gateway);
  EXPECT_FALSE(config.force_address);
  EXPECT_FALSE(config.promiscuous);
  EXPECT_EQ(config.port, BridgePort());
  EXPECT_FALSE(config.uses_vlans());
  EXPECT_TRUE(config.preserve_default_vlan);
  EXPECT_FALSE(config.mac_spoof_check);
  EXPECT_FALSE(config.disable_container_interface);
  EXPECT_FALSE(config.interface.has_ipam);
}

TEST(BridgeConfigTest, AllKeys) {
  const BridgeConfig config = Parse(R"({
      "bridge": "br-x", "isDefaultGateway": true, "forceAddress": true,
      "ipMasq": true, "mtu": 1400, "promiscMode": true, "vlan": 7,
      "portIsolation": true, "preserveDefaultVlan": false,
      "macspoofchk": true, "enabledad": true,
      "hostInterfaceName": "ve-a", "runtimeConfig": {
        "mac": "02:00:00:00:00:01", "hostInterfaceName": "ve-b"},
      "ipam": {"type": "host-local"}})");
  EXPECT_EQ(config.bridge, "br-x");
  EXPECT_TRUE(config.is_gateway);  // by isDefaultGateway
  EXPECT_TRUE(config.is_default_gateway);
  EXPECT_TRUE(config.force_address);
  EXPECT_TRUE(config.promiscuous);
  EXPECT_EQ(config.vlan, 7);
  EXPECT_EQ(config.port, (BridgePort{.hairpin = false, .isolated = true}));
  EXPECT_FALSE(config.preserve_default_vlan);
  EXPECT_TRUE(config.mac_spoof_check);
  EXPECT_TRUE(config.interface.enable_dad);
  EXPECT_TRUE(config.interface.ip_masq);
  EXPECT_TRUE(config.interface.has_ipam);
  EXPECT_EQ(config.interface.mtu, 1400u);
  EXPECT_EQ(config.interface.host_ifname, "ve-b");
  EXPECT_EQ(config.interface.mac->ToString(), "02:00:00:00:00:01");
  EXPECT_TRUE(Parse(R"({"hairpinMode": true})").port.hairpin);
  EXPECT_TRUE(Parse(R"({"disableContainerInterface": true})")
                  .disable_container_interface);
}

TEST(BridgeConfigTest, TrunksAreMerged) {
  const BridgeConfig config = Parse(R"({"vlanTrunk": [
      {"minID": 200, "maxID": 300}, {"id": 42}, {"minID": 250, "maxID": 310},
      {"id": 311}, {"minID": 5, "maxID": 5, "id": 4094}]})");
  EXPECT_THAT(config.trunk, ElementsAre(Tagged(5, 5), Tagged(42, 42),
                                        Tagged(200, 311), Tagged(4094, 4094)));
}

TEST(BridgeConfigTest, ErrorsNameTheField) {
  for (const auto& [text, error] : {
           std::pair(R"({"vlan": 4095})",
                     "invalid VLAN ID 4095 (must be between 0 and 4094)"),
           std::pair(R"({"vlan": -1})", "invalid VLAN ID -1"),
           std::pair(R"({"vlanTrunk": [{"id": 1}, {"id": 4095}]})",
                     "incorrect trunk id parameter: vlanTrunk[1].id: 4095"),
           std::pair(R"({"vlanTrunk": [{"minID": 0, "maxID": 5}]})",
                     "incorrect trunk minID parameter: vlanTrunk[0].minID: 0"),
           std::pair(R"({"vlanTrunk": [{"minID": 9, "maxID": 5}]})",
                     "minID is greater than maxID in trunk parameter"),
           std::pair(R"({"vlanTrunk": [{"minID": 9}]})",
                     "vlanTrunk[0].maxID is missing"),
           std::pair(R"({"vlanTrunk": [{"maxID": 9}]})",
                     "vlanTrunk[0].minID is missing"),
           std::pair(R"({"vlanTrunk": {}})", "vlanTrunk: want"),
           std::pair(R"({"bridge": ""})",
                     "bridge: \"\" is no interface name of 1 to 15 bytes"),
           std::pair(R"({"bridge": "br/0"})", "bridge: \"br/0\" is no"),
           std::pair(R"({"bridge": "br0123456789abcd"})", "bridge: "),
           std::pair(R"({"hairpinMode": true, "promiscMode": true})",
                     "cannot set hairpin mode and promiscuous mode"),
           std::pair(R"({"disableContainerInterface": true,
                         "ipam": {"type": "static"}})",
                     "cannot use IPAM when DisableContainerInterface"),
           std::pair(R"({"isGateway": 1})", "isGateway: want true or false"),
           std::pair(R"({"hostInterfaceName": "a b"})",
                     "hostInterfaceName: \"a b\" is no interface name"),
       }) {
    EXPECT_THAT(ParseBridgeConfig(Request(text)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)))
        << text;
  }
}

TEST(PlanPortVlansTest, NothingWithoutVlans) {
  const PortVlanPlan plan =
      PlanPortVlans(Parse(R"({"preserveDefaultVlan": false})"), 1);
  EXPECT_THAT(plan.remove, IsEmpty());
  EXPECT_THAT(plan.add, IsEmpty());
}

TEST(PlanPortVlansTest, AccessPort) {
  PortVlanPlan plan = PlanPortVlans(Parse(R"({"vlan": 100})"), 1);
  EXPECT_THAT(plan.remove, IsEmpty());
  EXPECT_THAT(plan.add, ElementsAre(Untagged(100)));
  plan =
      PlanPortVlans(Parse(R"({"vlan": 100, "preserveDefaultVlan": false})"), 4);
  EXPECT_THAT(plan.remove, ElementsAre(Tagged(4, 4)));
  EXPECT_THAT(plan.add, ElementsAre(Untagged(100)));
  // A bridge without a default VLAN.
  plan =
      PlanPortVlans(Parse(R"({"vlan": 100, "preserveDefaultVlan": false})"), 0);
  EXPECT_THAT(plan.remove, IsEmpty());
}

TEST(PlanPortVlansTest, TrunkPort) {
  PortVlanPlan plan =
      PlanPortVlans(Parse(R"({"vlanTrunk": [{"minID": 1, "maxID": 9}]})"), 1);
  EXPECT_THAT(plan.add, ElementsAre(Tagged(1, 9), Untagged(1)));
  plan = PlanPortVlans(Parse(R"({"vlanTrunk": [{"id": 20}], "vlan": 30})"), 1);
  EXPECT_THAT(plan.add, ElementsAre(Tagged(20, 20), Untagged(30)));
}

TEST(CompleteGatewaysTest, OnlyTheGatewayNeedsOne) {
  CniResult result = ResultOf("10.1.2.9/24", "");
  CompleteGateways(Parse("{}"), &result);
  EXPECT_EQ(result.ips[0].gateway, std::nullopt);
  CompleteGateways(Parse(R"({"isGateway": true})"), &result);
  EXPECT_EQ(result.ips[0].gateway, *IpAddress::Parse("10.1.2.1"));
  EXPECT_THAT(result.routes, IsEmpty());
}

TEST(CompleteGatewaysTest, ADefaultRouteForEachFamilyThatHasNone) {
  CniResult result = ResultOf("10.1.2.9/24", "10.1.2.254");
  result.ips.push_back(ResultOf("fd00::9/64", "").ips[0]);
  result.ips.push_back(ResultOf("10.9.0.9/24", "").ips[0]);
  CompleteGateways(Parse(R"({"isDefaultGateway": true})"), &result);
  ASSERT_EQ(result.routes.size(), 2u);
  EXPECT_EQ(result.routes[0].destination, *IpPrefix::Parse("0.0.0.0/0"));
  EXPECT_EQ(result.routes[0].gateway, *IpAddress::Parse("10.1.2.254"));
  EXPECT_EQ(result.routes[1].destination, *IpPrefix::Parse("::/0"));
  EXPECT_EQ(result.routes[1].gateway, *IpAddress::Parse("fd00::1"));
}

TEST(CompleteGatewaysTest, ADefaultRouteOfIpamIsEnough) {
  // Go's plugin adds another one to a route without "gw", which then fails.
  CniResult result = ResultOf("10.1.2.9/24", "10.1.2.1");
  CniRoute route;
  route.destination = *IpPrefix::Parse("0.0.0.0/0");
  result.routes.push_back(route);
  CompleteGateways(Parse(R"({"isDefaultGateway": true})"), &result);
  EXPECT_THAT(result.routes, ElementsAre(route));
}

}  // namespace
}  // namespace davit
