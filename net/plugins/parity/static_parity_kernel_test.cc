// Rows for static: every key, alone and below ptp.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "net/plugins/parity/parity.h"

namespace davit::testing {
namespace {

// `ipam` are further members of ipam, `more` of the plugin's object.
std::string Static(const std::string& ipam, const std::string& more = "",
                   const std::string& type = "static") {
  return absl::StrCat(R"({"type": ")", type, R"(", "ipam": {"type": "static")",
                      ipam.empty() ? "" : ", ", ipam, "}",
                      more.empty() ? "" : ", ", more, "}");
}

constexpr char kAddresses[] =
    R"("addresses": [{"address": "10.1.0.9/24", "gateway": "10.1.0.1"},
                     {"address": "fd00:1::9/64", "gateway": "fd00:1::1"}])";
const char kFieldIsNamed[] = "ours names the field";

// Both refuse it, with other words.
ParityRow Refused(const std::string& name, const std::string& chain,
                  const std::string& args = "") {
  return {.name = name,
          .chain = {chain},
          .differences = {{"add/0/msg", kFieldIsNamed}},
          .args = args};
}

class StaticParity : public ::testing::TestWithParam<ParityRow> {};

TEST_P(StaticParity, IsEqual) { ExpectParity(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Keys, StaticParity,
    ::testing::Values(
        ParityRow{"Nothing", {Static("")}},
        ParityRow{"Addresses", {Static(kAddresses)}},
        ParityRow{"RoutesAndDns", {Static(absl::StrCat(kAddresses, R"(,
                       "routes": [{"dst": "0.0.0.0/0"},
                                  {"dst": "10.9.0.0/16", "gw": "10.1.0.8"}],
                       "dns": {"nameservers": ["10.1.0.53"], "domain": "d",
                               "search": ["s"], "options": ["ndots:3"]})"))}},
        ParityRow{.name = "CniArgs",
                  .chain = {Static(kAddresses)},
                  .args = "IP=10.2.0.5/24, fd00:2::5/64;"
                          "GATEWAY=10.2.0.1,fd00:2::1,10.1.0.77"},
        ParityRow{.name = "Args",
                  .chain = {Static(kAddresses, R"("args": {"cni": {"ips":
                                ["10.3.0.3/16"]}})")},
                  .args = "IP=10.2.0.5/24"},
        ParityRow{"RuntimeConfig",
                  {Static(kAddresses, R"("args": {"cni": {"ips":
                       ["10.3.0.3/16"]}}, "runtimeConfig": {"ips":
                       ["10.4.0.4/16", "fd00:4::4/64"]})")}},
        ParityRow{.name = "OldVersion",
                  .chain = {Static(kAddresses)},
                  .version = "0.2.0"},
        ParityRow{.name = "Version0_3_1",
                  .chain = {Static(kAddresses)},
                  .version = "0.3.1"},
        ParityRow{"BelowPtp",
                  {Static(R"("addresses": [{"address": "10.1.0.9/24",
                                            "gateway": "10.1.0.1"}],
                             "routes": [{"dst": "0.0.0.0/0"}],
                             "dns": {"nameservers": ["10.1.0.53"]})",
                          "", "ptp")}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Errors, StaticParity,
    ::testing::Values(
        ParityRow{"NoIpam", {R"({"type": "static"})"}},
        Refused("NoLength",
                Static(R"("addresses": [{"address": "10.1.0.9"}])")),
        Refused("NotAnAddress", Static(R"("addresses": [{"address": "x/8"}])")),
        Refused("NotAGateway", Static(R"("addresses": [
            {"address": "10.1.0.9/24", "gateway": "x"}])")),
        Refused("CniArgsWithoutLength", Static(""), "IP=10.2.0.5"),
        Refused("CniArgsWithoutGateway", Static(""), "GATEWAY=x"),
        Refused("ArgsWithoutLength",
                Static("", R"("args": {"cni": {"ips": ["10.3.0.3"]}})")),
        Refused("RuntimeConfigWithoutLength",
                Static("", R"("runtimeConfig": {"ips": ["10.4.0.4"]})")),
        ParityRow{.name = "TwoOfAFamilyInAnOldVersion",
                  .chain = {Static(R"("addresses": [{"address": "10.1.0.9/24"},
                                         {"address": "10.2.0.9/24"}])")},
                  .version = "0.2.0"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace davit::testing
