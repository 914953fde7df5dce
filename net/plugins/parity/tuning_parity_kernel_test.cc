// Rows for tuning, behind ptp: every key, from everywhere it can come from.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

constexpr char kPtp[] = R"({"type": "ptp", "ipam": {"type": "host-local",
    "dataDir": "$TMP/data", "subnet": "10.1.0.0/24",
    "routes": [{"dst": "0.0.0.0/0"}]}})";

// A chain of ptp and tuning; `more` are further members of tuning's object.
std::vector<std::string> Tuning(const std::string& more) {
  return {kPtp, absl::StrCat(R"({"type": "tuning", "dataDir": "$TMP/data/t")",
                             more.empty() ? "" : ", ", more, "}")};
}

void ChangeMtu(PluginWorld& world, const std::string& pod) {
  Netlink netlink = world.PodLink(pod);
  EXPECT_TRUE(
      netlink.ChangeLink(netlink.GetLink("eth0")->index, {.mtu = 1234}).ok());
}

void ChangeSysctl(PluginWorld& world, const std::string& pod) {
  EXPECT_TRUE(world.pod(pod)
                  .Run([] {
                    return WriteKernelFile(
                        "/proc/sys/net/ipv4/conf/all/log_martians", "0");
                  })
                  .ok());
}

// Debian's 1.1.1 has not what was added since.
const char kLater[] = "as in Go's later releases";
const char kOurWords[] = "ours says what is there and what is missing";
const char kDelReadsLittle[] = "DEL reads only what it needs";
const char kFieldIsNamed[] = "ours names the field";

const ParityDifference kNothingIsLeft = {"file/t/.*.json(/mode)?",
                                         "a failed ADD leaves nothing"};

class TuningParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(TuningParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, TuningParity,
    ::testing::Values(
        ParityRow{"Nothing", Tuning("")},
        ParityRow{"Sysctls", Tuning(R"("sysctl": {"net.core.somaxconn": "500",
                                       "net.ipv4.ip_unprivileged_port_start":
                                       "80",
                                       "net.ipv6.conf.all.forwarding": "1"})")},
        ParityRow{"SysctlOfTheInterface",
                  Tuning(R"("sysctl":
                           {"net.ipv4.conf.IFNAME.arp_notify": "1"})"),
                  {{"check/1/.*", kLater}}},
        ParityRow{"SysctlWithSlashes", Tuning(R"("sysctl":
                           {"net/ipv4/conf/eth0/log_martians": "1"})")},
        ParityRow{"Mac", Tuning(R"("mac": "02:11:22:33:44:55")")},
        ParityRow{"Mtu", Tuning(R"("mtu": 1350)")},
        ParityRow{"Promisc", Tuning(R"("promisc": true)")},
        ParityRow{"PromiscOff", Tuning(R"("promisc": false)")},
        ParityRow{"Allmulti", Tuning(R"("allmulti": true)")},
        ParityRow{"AllmultiOff", Tuning(R"("allmulti": false)")},
        ParityRow{"TxQLen",
                  Tuning(R"("txQLen": 77)"),
                  {{"file/t/pod-1_eth0.json(/mode)?", kLater}}},
        ParityRow{"All", Tuning(R"("mac": "02:11:22:33:44:55", "mtu": 1350,
                           "promisc": true, "allmulti": true,
                           "sysctl": {"net.ipv4.ip_forward": "1"})")},
        ParityRow{.name = "MacByCniArgs",
                  .chain = Tuning(R"("mac": "02:11:22:33:44:55")"),
                  .differences = {{"add/0/interfaces/1/mac|file/t/.*.json",
                                   "our ptp gives the MAC that is asked for"}},
                  .args = "IgnoreUnknown=1;MAC=02:11:22:33:44:66"},
        ParityRow{"MacByRuntimeConfig",
                  Tuning(R"("runtimeConfig": {"mac": "02:11:22:33:44:77"})")},
        ParityRow{"ByArgs", Tuning(R"("sysctl": {"net.ipv4.ip_forward": "0"},
                           "promisc": true, "args": {"cni": {
                             "mac": "02:11:22:33:44:88", "mtu": 1300,
                             "promisc": false, "allmulti": true,
                             "sysctl": {"net.ipv4.ip_forward": "1",
                                        "net.core.somaxconn": "501"}}})")},
        ParityRow{.name = "Version0_3_1",
                  .chain = Tuning(R"("mac": "02:11:22:33:44:55")"),
                  .version = "0.3.1"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Check, TuningParity,
    ::testing::Values(ParityRow{.name = "FindsAnotherMtu",
                                .chain = Tuning(R"("mtu": 1350)"),
                                .differences = {{"check/1/msg", kOurWords}},
                                .damage = ChangeMtu},
                      ParityRow{.name = "FindsAnotherSysctl",
                                .chain = Tuning(R"("sysctl":
                             {"net.ipv4.conf.all.log_martians": "1"})"),
                                .differences = {{"check/1/msg", kOurWords}},
                                .damage = ChangeSysctl}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, TuningParity,
    ::testing::Values(
        ParityRow{"NoPrevResult", {R"({"type": "tuning"})"}},
        ParityRow{"SysctlOfAnotherKind",
                  Tuning(R"("sysctl": {"kernel.domainname": "x"})"),
                  {{"add/1/msg", kFieldIsNamed}}},
        ParityRow{"NoSuchSysctl",
                  Tuning(R"("sysctl": {"net.no.such": "1"})"),
                  {{"add/1/msg", kFieldIsNamed}}},
        ParityRow{"DuplicateSysctl",
                  Tuning(R"("sysctl": {"net.ipv4.ip_forward": "1",
                                       "net.ipv4.ip_forward": "0"})"),
                  {{".*", kLater}}},
        ParityRow{"BadMac",
                  Tuning(R"("mac": "02:11")"),
                  {{"add/1/msg", kFieldIsNamed}, kNothingIsLeft}},
        ParityRow{
            "MtuTooSmall",
            Tuning(R"("mtu": 10)"),
            {{"add/1/msg", "ours has the kernel's own words"}, kNothingIsLeft}},
        ParityRow{"BadMtu",
                  Tuning(R"("mtu": "big")"),
                  {{"add/1/msg", kFieldIsNamed},
                   {"(del|del-again)/1/.*", kDelReadsLittle}}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
