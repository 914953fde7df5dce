// Rows for portmap, behind ptp: every key that Debian's 1.1.1 has. Rules are
// not compared, as Go's are iptables' and ours nftables': connections are.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"

namespace davit::testing {
namespace {

constexpr char kPtp[] = R"({"type": "ptp", "ipMasq": true, "ipam":
    {"type": "host-local", "dataDir": "$TMP/data", "subnet": "10.1.0.0/24",
     "routes": [{"dst": "0.0.0.0/0"}]}})";
constexpr char kMapping[] = R"("runtimeConfig": {"portMappings": [
    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})";

// A chain of ptp and portmap with these members.
std::vector<std::string> Portmap(const std::string& members) {
  return {kPtp, absl::StrCat(R"({"type": "portmap",
                                 "capabilities": {"portMappings": true})",
                             members.empty() ? "" : ", ", members, "}")};
}

std::vector<std::string> Mapped(const std::string& more = "") {
  return Portmap(absl::StrCat(kMapping, more.empty() ? "" : ", ", more));
}

using From = ParityProbe::From;

// From everywhere, to the node's address and port.
const std::vector<ParityProbe> kProbes = {
    {From::kOutside, kNode4, 8080, 80},
    {From::kNode, kNode4, 8080, 80},
    {From::kNode, "127.0.0.1", 8080, 80},
    {From::kPod, kNode4, 8080, 80},
};

const char kFieldIsNamed[] = "ours names the field";
const ParityDifference kDelReadsLittle = {"(del|del-again)/1/.*",
                                          "DEL reads only what it needs"};

const ParityDifference kOtherFamily = {
    "check/1/.*", "Go's CHECK wants rules of a family that the pod has not"};

class PortmapParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(PortmapParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, PortmapParity,
    ::testing::Values(
        ParityRow{"NoMappings", Portmap("")},
        ParityRow{.name = "Tcp",
                  .chain = Mapped(),
                  .differences = {kOtherFamily},
                  .probes = kProbes},
        ParityRow{.name = "NoSnat",
                  .chain = Mapped(R"("snat": false)"),
                  .differences = {kOtherFamily},
                  .probes = {{From::kOutside, kNode4, 8080, 80},
                             {From::kNode, kNode4, 8080, 80}}},
        ParityRow{.name = "MasqAll",
                  .chain = Mapped(R"("masqAll": true)"),
                  .differences = {kOtherFamily,
                                  {"effect/.*", "as in Go's later releases"}},
                  .probes = kProbes},
        ParityRow{.name = "MarkMasqBit",
                  .chain = Mapped(R"("markMasqBit": 7)"),
                  .differences = {kOtherFamily},
                  .probes = kProbes},
        ParityRow{.name = "HostIp",
                  .chain = Portmap(R"("runtimeConfig": {"portMappings": [
                      {"hostPort": 8080, "containerPort": 80,
                       "protocol": "tcp", "hostIP": "192.0.2.1"}]})"),
                  .differences = {kOtherFamily},
                  .probes = {{From::kOutside, kNode4, 8080, 80},
                             {From::kNode, kNode4, 8080, 80}}},
        ParityRow{.name = "TwoPorts",
                  .chain = Portmap(R"("runtimeConfig": {"portMappings": [
                      {"hostPort": 8080, "containerPort": 80,
                       "protocol": "tcp"},
                      {"hostPort": 8443, "containerPort": 8443,
                       "protocol": "TCP"}]})"),
                  .differences = {kOtherFamily},
                  .probes = {{From::kOutside, kNode4, 8080, 80},
                             {From::kOutside, kNode4, 8443, 8443}}},
        ParityRow{.name = "Version0_3_1",
                  .chain = Mapped(),
                  .version = "0.3.1",
                  .probes = kProbes}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, PortmapParity,
    ::testing::Values(
        ParityRow{"NoPrevResult",
                  {absl::StrCat(R"({"type": "portmap", )", kMapping, "}")}},
        ParityRow{"PortZero",
                  Portmap(R"("runtimeConfig": {"portMappings": [
                      {"hostPort": 8080, "containerPort": 0,
                       "protocol": "tcp"}]})"),
                  {{"add/1/msg", kFieldIsNamed}, kDelReadsLittle}},
        ParityRow{"MarkMasqBitOutOfRange",
                  Mapped(R"("markMasqBit": 32)"),
                  {{"add/1/msg", kFieldIsNamed}, kDelReadsLittle}},
        ParityRow{"MarkMasqBitAndChain",
                  Mapped(R"("markMasqBit": 7,
                            "externalSetMarkChain": "X")"),
                  {kDelReadsLittle}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
