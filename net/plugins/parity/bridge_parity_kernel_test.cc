// Rows for bridge: every key that Debian's 1.1.1 has.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"

namespace davit::testing {
namespace {

constexpr char kIpam[] = R"("ipam": {"type": "host-local",
    "dataDir": "$TMP/data", "subnet": "10.1.0.0/24"})";
constexpr char kDualStack[] = R"("ipam": {"type": "host-local",
    "dataDir": "$TMP/data", "ranges": [[{"subnet": "10.1.0.0/24"}],
                                       [{"subnet": "fd00:1::/64"}]]})";

// `members` are those of the plugin's object.
std::vector<std::string> Bridge(const std::string& members,
                                const std::string& ipam = kIpam) {
  return {absl::StrCat(R"({"type": "bridge")", members.empty() ? "" : ", ",
                       members, ipam.empty() ? "" : ", ", ipam, "}")};
}

void AddBridge(PluginWorld& world, const std::string& address) {
  Netlink& node = world.node_link();
  EXPECT_TRUE(node.AddBridge({.name = "br7"}).ok());
  const int index = node.GetLink("br7")->index;
  EXPECT_TRUE(node.SetLinkUp(index, true).ok());
  if (address.empty()) return;
  EXPECT_TRUE(
      node.AddAddress({.index = index, .prefix = *IpPrefix::Parse(address)})
          .ok());
}

auto WithBridge(const std::string& address) {
  return [address](PluginWorld& world, const std::string&) {
    AddBridge(world, address);
  };
}

void WithVethOfThatName(PluginWorld& world, const std::string& pod) {
  EXPECT_TRUE(world.node_link()
                  .AddVethPair({.name = "br7",
                                .peer_name = "other",
                                .peer_netns_fd = world.pod(pod).fd()})
                  .ok());
}

void DeletePodLink(PluginWorld& world, const std::string& pod) {
  EXPECT_TRUE(world.PodLink(pod).DeleteLink("eth0").ok());
}

void DeleteBridge(PluginWorld& world, const std::string&) {
  EXPECT_TRUE(world.node_link().DeleteLink("br7").ok());
}

const char kOurWords[] = "ours says what is there and what is missing";
const ParityDifference kKeepAddress = {
    "pod/sys/net/ipv6/conf/eth0/keep_addr_on_down",
    "as in Go's later releases: an interface that is taken down and up again "
    "keeps its addresses"};

const ParityDifference kForeignBridge = {
    "(after/)?node/sys/net/ipv6/conf/br7/accept_ra",
    "ours leaves the settings of a bridge that was there"};
const ParityDifference kTentative = {
    "node/route-6/local/(anycast|local):fd00:1::1?:cni0:0/.*",
    "the address of Go's is still being detected, and not usable yet"};

class BridgeParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(BridgeParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, BridgeParity,
    ::testing::Values(
        ParityRow{"Plain", Bridge("")},
        ParityRow{"LayerTwo",
                  Bridge("", R"("ipam": {})"),
                  {{"check/0/.*", "Go's CHECK asks for an IPAM plugin"}}},
        ParityRow{"Name", Bridge(R"("bridge": "br7")")},
        ParityRow{.name = "ThatIsThere",
                  .chain = Bridge(R"("bridge": "br7", "isGateway": true)"),
                  .differences = {kForeignBridge},
                  .prepare = WithBridge("")},
        ParityRow{"Gateway", Bridge(R"("isGateway": true)")},
        ParityRow{"DefaultGateway", Bridge(R"("isDefaultGateway": true)")},
        ParityRow{"Masquerade",
                  Bridge(R"("isDefaultGateway": true, "ipMasq": true)")},
        ParityRow{.name = "ForceAddress",
                  .chain = Bridge(R"("bridge": "br7", "isGateway": true,
                                     "forceAddress": true)"),
                  .differences = {kForeignBridge},
                  .prepare = WithBridge("10.9.0.1/24")},
        ParityRow{"Mtu", Bridge(R"("mtu": 1400, "isGateway": true)")},
        ParityRow{"Hairpin", Bridge(R"("hairpinMode": true)")},
        ParityRow{"Promisc", Bridge(R"("promiscMode": true)")},
        ParityRow{"Dns", Bridge(R"("dns": {"nameservers": ["10.1.0.53"],
                                           "search": ["a"]})")},
        ParityRow{"DualStack",
                  Bridge(R"("isDefaultGateway": true)", kDualStack),
                  {kKeepAddress, kTentative}},
        ParityRow{
            "DualStackMasquerade",
            Bridge(R"("isDefaultGateway": true, "ipMasq": true)", kDualStack),
            {kKeepAddress, kTentative}},
        ParityRow{.name = "MacByCniArgs",
                  .chain = Bridge("", R"("ipam": {})"),
                  .differences = {{"check/0/.*",
                                   "Go's CHECK asks for an IPAM plugin"}},
                  .args = "IgnoreUnknown=1;MAC=02:11:22:33:44:55"},
        ParityRow{"MacByArgs",
                  Bridge(R"("args": {"cni": {"mac": "02:11:22:33:44:66"}})")},
        ParityRow{"MacByRuntimeConfig",
                  Bridge(R"("runtimeConfig": {"mac": "02:11:22:33:44:77"})")},
        ParityRow{.name = "Vlan",
                  .chain = Bridge(R"("vlan": 100)"),
                  .need = ParityNeed::kVlanFiltering},
        ParityRow{.name = "Version0_3_1",
                  .chain = Bridge(R"("isDefaultGateway": true)"),
                  .version = "0.3.1"},
        ParityRow{.name = "Version0_2_0",
                  .chain = Bridge(R"("isDefaultGateway": true)"),
                  .version = "0.2.0"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Check, BridgeParity,
    ::testing::Values(ParityRow{.name = "FindsTheLinkGone",
                                .chain = Bridge(R"("bridge": "br7")"),
                                .differences = {{"check/0/msg", kOurWords}},
                                .damage = DeletePodLink},
                      ParityRow{.name = "FindsTheBridgeGone",
                                .chain = Bridge(R"("bridge": "br7")"),
                                .differences = {{"check/0/msg", kOurWords}},
                                .damage = DeleteBridge}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, BridgeParity,
    ::testing::Values(
        ParityRow{"HairpinAndPromisc",
                  Bridge(R"("hairpinMode": true, "promiscMode": true)"),
                  {{"add/0/msg", kOurWords},
                   {"after/file/net/lock", "DEL makes no directory"}}},
        ParityRow{"VlanOutOfRange",
                  Bridge(R"("vlan": 5000)"),
                  {{"(del|del-again)/0/.*", "DEL reads only what it needs"}}},
        ParityRow{
            .name = "AnotherAddressIsThere",
            .chain = Bridge(R"("bridge": "br7", "isGateway": true)"),
            .differences = {{"add/0/msg", kOurWords},
                            kForeignBridge,
                            {"node/(.*VETH.*|link/br7/address)|pod/.*eth0.*",
                             "a failed ADD leaves nothing"}},
            .prepare = WithBridge("10.9.0.1/24")},
        ParityRow{.name = "NotABridge",
                  .chain = Bridge(R"("bridge": "br7")"),
                  .differences =
                      {{"add/0/msg", kOurWords},
                       {"(after/)?file/net/(lock|last_reserved_ip.0)",
                        "ours reserves the address first, and gives it back"}},
                  .prepare = WithVethOfThatName}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
