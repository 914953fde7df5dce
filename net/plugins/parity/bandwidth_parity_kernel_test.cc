// Rows for bandwidth, behind ptp: qdiscs, filters and numbers.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/netlink/traffic_control.h"
#include "net/plugins/parity/parity.h"

namespace davit::testing {
namespace {

constexpr char kPtp[] = R"({"type": "ptp", "mtu": 1400, "ipam":
    {"type": "host-local", "dataDir": "$TMP/data", "subnet": "10.1.0.0/24",
     "routes": [{"dst": "0.0.0.0/0"}]}})";

// A chain of ptp and bandwidth with these members.
std::vector<std::string> Bandwidth(const std::string& members) {
  return {kPtp, absl::StrCat(R"({"type": "bandwidth")",
                             members.empty() ? "" : ", ", members, "}")};
}

constexpr char kIngress[] =
    R"("ingressRate": 8000000, "ingressBurst": 4000000)";
constexpr char kEgress[] = R"("egressRate": 16000001, "egressBurst": 12345678)";

// The node's end of the veth is found by what it leads to.
void DropTokenBucket(PluginWorld& world, const std::string& pod) {
  const int index = world.PodLink(pod).GetLink("eth0")->peer_index;
  EXPECT_TRUE(world.node()
                  .Run([index]() -> absl::Status {
                    auto traffic = TrafficControl::Open();
                    return traffic.ok() ? traffic->RemoveTokenBucket(index)
                                        : traffic.status();
                  })
                  .ok());
}

void DropIfb(PluginWorld& world, const std::string&) {
  for (const std::string& name : world.Interfaces()) {
    if (name.rfind("bwp", 0) == 0) {
      EXPECT_TRUE(world.node_link().DeleteLink(name).ok());
    }
  }
}

const char kFieldIsNamed[] = "ours names the field";
const char kOurWords[] = "ours says what is there and what is missing";
const ParityDifference kOneAction = {
    "node/filter/VETH/.*/options/actions",
    "Go's redirects twice, and the second never comes to it"};
const ParityDifference kDelReadsNothing = {"(del|del-again)/1/.*",
                                           "DEL reads no limits"};

class BandwidthParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(BandwidthParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, BandwidthParity,
    ::testing::Values(
        ParityRow{"Ingress", Bandwidth(kIngress)},
        ParityRow{"Egress", Bandwidth(kEgress), {kOneAction}},
        ParityRow{"Both",
                  Bandwidth(absl::StrCat(kIngress, ", ", kEgress)),
                  {kOneAction}},
        ParityRow{"Fast",
                  Bandwidth(R"("ingressRate": 40000000000,
                                       "ingressBurst": 34359738352)"),
                  {{"node/qdisc/VETH/tbf/options/(lat|limit)",
                    "Go's limit has overflowed"}}},
        ParityRow{"RuntimeConfig",
                  Bandwidth(absl::StrCat(R"("runtimeConfig": {"bandwidth": {)",
                                         kIngress, ", ", kEgress, "}}")),
                  {kOneAction}},
        ParityRow{
            "StaticBeforeRuntimeConfig",
            Bandwidth(absl::StrCat(kIngress,
                                   R"(, "runtimeConfig": {"bandwidth": {)",
                                   kEgress, "}}"))},
        ParityRow{"Zero", Bandwidth(R"("ingressRate": 0, "ingressBurst": 0)")},
        ParityRow{.name = "Version0_3_1",
                  .chain = Bandwidth(absl::StrCat(kIngress, ", ", kEgress)),
                  .differences = {kOneAction},
                  .version = "0.3.1"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Check, BandwidthParity,
    ::testing::Values(
        ParityRow{.name = "FindsTheIfbGone",
                  .chain = Bandwidth(kEgress),
                  .differences = {kOneAction, {"check/1/msg", kOurWords}},
                  .damage = DropIfb},
        ParityRow{
            .name = "FindsTheBucketGone",
            .chain = Bandwidth(kIngress),
            .differences = {{"check/1/.*", "Go's looks only at what it finds"}},
            .damage = DropTokenBucket}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, BandwidthParity,
    ::testing::Values(
        ParityRow{"RateWithoutBurst",
                  Bandwidth(R"("ingressRate": 8)"),
                  {{"add/1/msg", kFieldIsNamed}, kDelReadsNothing}},
        ParityRow{"BurstWithoutRate",
                  Bandwidth(R"("egressBurst": 8)"),
                  {{"add/1/msg", kFieldIsNamed}, kDelReadsNothing}},
        ParityRow{"BurstTooLarge",
                  Bandwidth(R"("egressRate": 8, "egressBurst": 34359738360)"),
                  {{"add/1/msg", kFieldIsNamed}, kDelReadsNothing}},
        ParityRow{"NoPrevResult", {R"({"type": "bandwidth", "ingressRate": 8,
                       "ingressBurst": 8})"}},
        ParityRow{.name = "VersionTooOld",
                  .chain = {R"({"type": "bandwidth"})"},
                  .differences = {{"(add|del|del-again)/0/details",
                                   "ours supports 1.1.0 too"}},
                  .version = "0.2.0"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
