// Rows for ptp: every key, every version, and what can go wrong.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

// `more` are further members of the plugin's object, `ipam` of its ipam.
std::string Ptp(const std::string& more, const std::string& ipam) {
  return absl::StrCat(R"({"type": "ptp", )", more, more.empty() ? "" : ", ",
                      R"("ipam": {"type": "host-local",
                                  "dataDir": "$TMP/data", )",
                      ipam, "}}");
}

constexpr char kSubnet[] =
    R"("subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0"}])";
constexpr char kSubnet6[] =
    R"("subnet": "fd00:1::/64", "routes": [{"dst": "::/0"}])";
constexpr char kDualStack[] =
    R"("ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]],
       "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])";

ParityRow OfVersion(const std::string& version) {
  std::string name = absl::StrCat("Version", version);
  for (char& c : name) {
    if (c == '.') c = '_';
  }
  ParityRow row{name, {Ptp(R"("mtu": 1300)", kSubnet)}};
  row.version = version;
  return row;
}

void TakeName(PluginWorld& world, const std::string& pod) {
  Netlink netlink = world.PodLink(pod);
  EXPECT_TRUE(netlink
                  .AddVethPair({.name = "eth0",
                                .peer_name = "taken",
                                .peer_netns_fd = world.pod(pod).fd()})
                  .ok());
}

void TakePodLinkDown(PluginWorld& world, const std::string& pod) {
  Netlink netlink = world.PodLink(pod);
  EXPECT_TRUE(netlink.SetLinkUp(netlink.GetLink("eth0")->index, false).ok());
}

void DeletePodLink(PluginWorld& world, const std::string& pod) {
  EXPECT_TRUE(world.PodLink(pod).DeleteLink("eth0").ok());
}

void DropLease(PluginWorld& world, const std::string&) {
  EXPECT_TRUE(RemoveFile(world.path("data/net/10.1.0.2")).ok());
}

// Of an IPv6 gateway on the node's end.
const ParityDifference kTentative = {
    "node/route-6/local/local:fd00:1::1:VETH:0/.*",
    "the address of Go's is still being detected, and not usable yet"};
const ParityDifference kPrefixRoute = {
    "node/route-6/main/unicast:fd00:1::1:VETH:256/.*",
    "a route to the node's own address, by the pod's link"};
const ParityDifference kKeepAddress = {
    "pod/sys/net/ipv6/conf/eth0/keep_addr_on_down",
    "as in Go's later releases: an interface that is taken down and up again "
    "keeps its addresses"};
const ParityDifference kDelReadsLittle = {"(del|del-again)/0/.*",
                                          "DEL reads only what it needs"};
const ParityDifference kNothingReserved = {
    "(after/)?file/net/(lock|last_reserved_ip.0)",
    "ours looks before it reserves an address"};

const char kFieldIsNamed[] = "ours names the field";
const char kOurWords[] = "ours says what is there and what is missing";

class PtpParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(PtpParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, PtpParity,
    ::testing::Values(
        ParityRow{"Plain", {Ptp("", kSubnet)}},
        ParityRow{"NoRoutes", {Ptp("", R"("subnet": "10.1.0.0/24")")}},
        ParityRow{"MtuAndDns",
                  {Ptp(R"("mtu": 1400, "dns": {"nameservers": ["10.1.0.1"],
                          "domain": "d", "search": ["a", "b"],
                          "options": ["ndots:2"]})",
                       kSubnet)}},
        ParityRow{"Masquerade", {Ptp(R"("ipMasq": true)", kSubnet)}},
        ParityRow{"MasqueradeOff", {Ptp(R"("ipMasq": false)", kSubnet)}},
        ParityRow{"KeysInAnyCase",
                  {Ptp(R"("IPMASQ": true, "Mtu": 1401)", kSubnet)}},
        ParityRow{"Ipv6",
                  {Ptp("", kSubnet6)},
                  {kTentative, kPrefixRoute, kKeepAddress}},
        ParityRow{"DualStack",
                  {Ptp("", kDualStack)},
                  {kTentative, kPrefixRoute, kKeepAddress}},
        ParityRow{"DualStackMasquerade",
                  {Ptp(R"("ipMasq": true)", kDualStack)},
                  {kTentative, kPrefixRoute, kKeepAddress}},
        ParityRow{"GatewayInTheMiddle",
                  {Ptp("", R"("ranges": [[{"subnet": "10.1.0.0/28",
                                           "rangeStart": "10.1.0.3",
                                           "rangeEnd": "10.1.0.9",
                                           "gateway": "10.1.0.5"}]])")}},
        ParityRow{"RoutesByIpam",
                  {Ptp("", R"("subnet": "10.1.0.0/24",
                              "routes": [{"dst": "10.9.0.0/16"},
                                         {"dst": "10.8.0.0/16",
                                          "gw": "10.1.0.1"}])")},
                  {{"check/0/.*",
                    "Go's looks for a route without gateway, to which its ADD "
                    "has given one"}}},
        ParityRow{"TwoAddressesOfAFamily",
                  {Ptp("", R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                         [{"subnet": "10.2.0.0/24"}]])")}},
        ParityRow{.name = "RequestedAddress",
                  .chain = {Ptp("", kSubnet)},
                  .args = "IgnoreUnknown=1;IP=10.1.0.77"},
        ParityRow{.name = "OtherIfname",
                  .chain = {Ptp("", kSubnet)},
                  .ifname = "net-1_x.y"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Versions, PtpParity,
                         ::testing::Values(OfVersion("0.1.0"),
                                           OfVersion("0.2.0"),
                                           OfVersion("0.3.0"),
                                           OfVersion("0.3.1"),
                                           OfVersion("0.4.0")),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Check, PtpParity,
    ::testing::Values(ParityRow{.name = "FindsTheLinkGone",
                                .chain = {Ptp("", kSubnet)},
                                .differences = {{"check/0/msg", kOurWords}},
                                .damage = DeletePodLink},
                      ParityRow{.name = "FindsTheRoutesGone",
                                .chain = {Ptp("", kSubnet)},
                                .differences = {{"check/0/msg", kOurWords}},
                                .damage = TakePodLinkDown},
                      ParityRow{.name = "FindsTheLeaseGone",
                                .chain = {Ptp("", kSubnet)},
                                .damage = DropLease}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, PtpParity,
    ::testing::Values(
        ParityRow{.name = "NameIsTaken",
                  .chain = {Ptp("", kSubnet)},
                  .differences = {{"add/0/msg", kOurWords}, kNothingReserved},
                  .prepare = TakeName},
        ParityRow{"NoIpam", {R"({"type": "ptp"})"}},
        ParityRow{"UnknownIpam",
                  {R"({"type": "ptp", "ipam": {"type": "no-such"}})"}},
        ParityRow{
            "BadMtu",
            {Ptp(R"("mtu": "big")", kSubnet)},
            {{"(add|del|del-again)/0/msg", kFieldIsNamed}, kDelReadsLittle}},
        ParityRow{"MtuOutOfRange",
                  {Ptp(R"("mtu": 70000)", kSubnet)},
                  {{"add/0/msg", kFieldIsNamed}, kNothingReserved}},
        ParityRow{"BadSubnet",
                  {Ptp("", R"("subnet": "10.1.0.0/33")")},
                  {{"add/0/msg", kFieldIsNamed}, kDelReadsLittle}},
        ParityRow{.name = "BadArgs",
                  .chain = {Ptp("", kSubnet)},
                  .differences = {kDelReadsLittle},
                  .args = "IP=1=2"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
