// Rows for host-local: every key, every way to ask for an address, hostile
// directories, and what can go wrong.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

constexpr char kSubnet[] = R"("subnet": "10.1.0.0/24")";

// `ipam` are further members of ipam, `more` of the plugin's object.
std::string HostLocal(const std::string& ipam, const std::string& more = "") {
  return absl::StrCat(
      R"({"type": "host-local", "ipam": {"type": "host-local",
          "dataDir": "$TMP/data", )",
      ipam, "}", more.empty() ? "" : ", ", more, "}");
}

void Write(PluginWorld& world, const std::string& name,
           const std::string& content) {
  EXPECT_TRUE(MakeDirectories(world.path("data/net")).ok());
  EXPECT_TRUE(WriteFileAtomic(world.path("data/net/" + name), content).ok());
}

auto WithFile(const std::string& name, const std::string& content) {
  return [=](PluginWorld& world, const std::string&) {
    Write(world, name, content);
  };
}

auto WithoutFile(const std::string& name) {
  return [=](PluginWorld& world, const std::string&) {
    EXPECT_TRUE(RemoveFile(world.path("data/net/" + name)).ok());
  };
}

// A pool of 10.1.0.0/29 of which nothing is left.
void WithFullPool(PluginWorld& world, const std::string&) {
  for (int i = 2; i <= 6; ++i) {
    Write(world, absl::StrCat("10.1.0.", i),
          absl::StrCat("other-", i, "\r\neth0"));
  }
}

void WithForeignEntries(PluginWorld& world, const std::string&) {
  Write(world, "10.1.0.2", "other\r\neth0");
  Write(world, "README", "not a lease");
  Write(world, "10.1.0.3.old", "pod-1\r\neth0");
  Write(world, "last_reserved_ip.7", "10.1.0.200");
  EXPECT_TRUE(MakeDirectories(world.path("data/net/directory")).ok());
}

void WriteResolvConf(PluginWorld& world, const std::string&) {
  EXPECT_TRUE(WriteFileAtomic(world.path("resolv.conf"),
                              "# c\nnameserver 10.0.0.1\nnameserver fd00::53\n"
                              "domain example.org\nsearch a.org b.org\n"
                              "options ndots:5 timeout:1\nsortlist 1.2.3.4\n")
                  .ok());
}

const char kFieldIsNamed[] = "ours names the field";
const char kDelNeedsNoRanges[] = "DEL works whatever became of the ranges";

// A row of a configuration that neither takes.
ParityRow Refused(const std::string& name, const std::string& chain) {
  return {.name = name,
          .chain = {chain},
          .differences = {{"add/0/msg", kFieldIsNamed},
                          {"(del|del-again)/0/.*", kDelNeedsNoRanges}}};
}

class HostLocalParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(HostLocalParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, HostLocalParity,
    ::testing::Values(
        ParityRow{"Subnet", {HostLocal(kSubnet)}},
        ParityRow{"StartEndAndGateway", {HostLocal(R"("subnet": "10.1.0.0/24",
                                "rangeStart": "10.1.0.20",
                                "rangeEnd": "10.1.0.21",
                                "gateway": "10.1.0.254")")}},
        ParityRow{"GatewayOfAnotherNet", {HostLocal(R"("subnet": "10.1.0.0/24",
                                "gateway": "10.9.9.9")")}},
        ParityRow{"GatewayIsTheFirstOfTheRange",
                  {HostLocal(R"("subnet": "10.1.0.0/24",
                                "rangeStart": "10.1.0.20",
                                "gateway": "10.1.0.20")")}},
        ParityRow{"Ipv6Subnet", {HostLocal(R"("subnet": "fd00:1::/64")")}},
        ParityRow{"Ipv6InOddSpelling",
                  {HostLocal(R"("subnet": "FD00:0001:0::/64",
                                "rangeStart": "fd00:1:0:0:0:0:0:00ff")")}},
        ParityRow{"SetsOfBothFamilies",
                  {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                           [{"subnet": "fd00:1::/64"}]])")}},
        ParityRow{"ManySets",
                  {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                           [{"subnet": "10.2.0.0/24"}],
                                           [{"subnet": "10.3.0.0/24"}]])")}},
        ParityRow{.name = "SecondPoolOfASetWhenTheFirstIsFull",
                  .chain = {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/29"},
                                         {"subnet": "10.2.0.0/29"}]])")},
                  .prepare = WithFullPool},
        ParityRow{"OldSubnetBeforeRanges",
                  {HostLocal(R"("subnet": "10.1.0.0/24",
                                "ranges": [[{"subnet": "10.2.0.0/24"}]])")}},
        ParityRow{"RuntimeRangesFirst",
                  {HostLocal(kSubnet, R"("runtimeConfig": {"ipRanges":
                       [[{"subnet": "10.3.0.0/24", "rangeStart": "10.3.0.9"}],
                        [{"subnet": "fd00:3::/64"}]]})")}},
        ParityRow{"Routes", {HostLocal(R"("subnet": "10.1.0.0/24", "routes":
                       [{"dst": "0.0.0.0/0"},
                        {"dst": "10.5.0.0/16", "gw": "10.1.0.9"},
                        {"dst": "fd00:5::/48"}])")}},
        ParityRow{.name = "ResolvConf",
                  .chain = {HostLocal(R"("subnet": "10.1.0.0/24",
                                "resolvConf": "$TMP/resolv.conf")")},
                  .prepare = WriteResolvConf},
        ParityRow{.name = "RoundRobin",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("last_reserved_ip.0", "10.1.0.99")},
        ParityRow{.name = "RoundRobinWraps",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("last_reserved_ip.0", "10.1.0.254")},
        ParityRow{.name = "LastReservedOfAnotherNet",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("last_reserved_ip.0", "10.77.0.1")},
        ParityRow{.name = "LastReservedIsRubbish",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("last_reserved_ip.0", "rubbish\n")},
        ParityRow{
            .name = "ForeignEntries",
            .chain = {HostLocal(kSubnet)},
            .differences = {{"after/file/net/10.1.0.3.old(/mode)?",
                             "Go's removes any file with the owner's text"}},
            .prepare = WithForeignEntries},
        ParityRow{.name = "OldLeaseWithoutInterface",
                  .chain = {HostLocal(R"("subnet": "10.1.0.0/24",
                                         "rangeStart": "10.1.0.50")")},
                  .prepare = WithFile("10.1.0.9", "pod-1")},
        ParityRow{.name = "LeaseOfAnotherInterfaceStays",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("10.1.0.9", "pod-1\r\neth1")}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Requests, HostLocalParity,
    ::testing::Values(
        ParityRow{.name = "ByCniArgs",
                  .chain = {HostLocal(kSubnet)},
                  .args = "IgnoreUnknown=true;IP=10.1.0.50;K8S_POD_NAME=x"},
        ParityRow{.name = "ByCniArgsWithLength",
                  .chain = {HostLocal(kSubnet)},
                  .args = "IP=10.1.0.50/16"},
        ParityRow{"ByArgs", {HostLocal(kSubnet, R"("args": {"cni":
                                  {"ips": ["10.1.0.60"]}})")}},
        ParityRow{"ByRuntimeConfig",
                  {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                           [{"subnet": "fd00:1::/64"}]])",
                             R"("runtimeConfig": {"ips":
                                  ["fd00:1::77/64", "10.1.0.77/24"]})")}},
        ParityRow{.name = "Taken",
                  .chain = {HostLocal(kSubnet)},
                  .args = "IP=10.1.0.50",
                  .prepare = WithFile("10.1.0.50", "other\r\neth0")},
        ParityRow{.name = "TheGateway",
                  .chain = {HostLocal(kSubnet)},
                  .args = "IP=10.1.0.1"},
        ParityRow{.name = "OutOfAllSets",
                  .chain = {HostLocal(kSubnet)},
                  .args = "IP=10.2.0.1"},
        ParityRow{.name = "SecondOfASet",
                  .chain = {HostLocal(kSubnet, R"("runtimeConfig": {"ips":
                              ["10.1.0.7"]})")},
                  .args = "IP=10.1.0.7"},
        ParityRow{.name = "NotAnAddress",
                  .chain = {HostLocal(kSubnet)},
                  .differences = {{"(add|del|del-again)/0/.*", kFieldIsNamed}},
                  .args = "IP=ten"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Check, HostLocalParity,
    ::testing::Values(ParityRow{.name = "FindsTheLeaseGone",
                                .chain = {HostLocal(kSubnet)},
                                .damage = WithoutFile("10.1.0.2")},
                      ParityRow{.name = "FindsAnotherOwner",
                                .chain = {HostLocal(kSubnet)},
                                .damage = WithFile("10.1.0.2", "x\r\neth0")},
                      ParityRow{.name = "FindsAnEmptyLease",
                                .chain = {HostLocal(kSubnet)},
                                .damage = WithFile("10.1.0.2", "")}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, HostLocalParity,
    ::testing::Values(
        ParityRow{.name = "Full",
                  .chain = {HostLocal(R"("subnet": "10.1.0.0/29")")},
                  .prepare = WithFullPool},
        ParityRow{.name = "SecondSetFullReleasesTheFirst",
                  .chain = {HostLocal(R"("ranges": [[{"subnet": "10.2.0.0/24"}],
                                         [{"subnet": "10.1.0.0/29"}]])")},
                  .prepare = WithFullPool},
        ParityRow{.name = "SameOwnerTwice",
                  .chain = {HostLocal(kSubnet)},
                  .prepare = WithFile("10.1.0.44", "pod-1\r\neth0")},
        ParityRow{"NoIpam", {R"({"type": "host-local"})"}},
        ParityRow{"NoRanges",
                  {HostLocal(R"("routes": [])")},
                  {{"(del|del-again)/0/.*", kDelNeedsNoRanges}}},
        Refused("TooSmall", HostLocal(R"("subnet": "10.1.0.0/31")")),
        Refused("HostBits", HostLocal(R"("subnet": "10.1.0.1/24")")),
        Refused("StartOutside", HostLocal(R"("subnet": "10.1.0.0/24",
                                             "rangeStart": "10.2.0.1")")),
        Refused("EndOutside", HostLocal(R"("subnet": "10.1.0.0/24",
                                           "rangeEnd": "10.2.0.1")")),
        Refused("NotASubnet", HostLocal(R"("subnet": "ten")")),
        ParityRow{"MixedSet",
                  {HostLocal(R"("ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]])")},
                  {{"(del|del-again)/0/.*", kDelNeedsNoRanges}}},
        Refused("OverlapInASet", HostLocal(R"("ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/16"}]])")),
        ParityRow{"OverlapOfSets",
                  {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                           [{"subnet": "10.1.0.0/16"}]])")},
                  {{"(del|del-again)/0/.*", kDelNeedsNoRanges}}},
        ParityRow{.name = "TwoOfAFamilyInAnOldVersion",
                  .chain = {HostLocal(R"("ranges": [[{"subnet": "10.1.0.0/24"}],
                                           [{"subnet": "10.2.0.0/24"}]])")},
                  .differences = {{"(del|del-again)/0/.*", kDelNeedsNoRanges}},
                  .version = "0.2.0"},
        ParityRow{"NoResolvConf",
                  {HostLocal(R"("subnet": "10.1.0.0/24",
                                "resolvConf": "$TMP/no-such")")},
                  {{"add/0/msg", kFieldIsNamed},
                   {"after/file/net/lock", "DEL makes no directory"}}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
