#include "net/plugins/host_local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/host_local_config.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HostLocalTest : public ::testing::Test {
 protected:
  // A request whose "ipam" has these members besides dataDir, and whose
  // configuration has `more`.
  PluginRequest Request(const std::string& ipam, const std::string& more = "",
                        const std::string& id = "pod-1") {
    std::string text = absl::StrCat(
        R"({"name": "net", "cniVersion": "1.1.0", "ipam": {"dataDir": ")",
        directory_.path(), "\"", ipam.empty() ? "" : ", ", ipam, "}",
        more.empty() ? "" : ", ", more, "}");
    return {"ADD", id,     "eth0", "/ns",
            args_, "/cni", text,   *JsonObject::Parse(text),
            "net", "1.1.0"};
  }
  std::vector<std::string> Ips(const PluginRequest& request) {
    absl::StatusOr<CniResult> result = HostLocalAdd(request);
    if (!result.ok()) return {std::string(result.status().message())};
    std::vector<std::string> ips;
    for (const CniIp& ip : result->ips) ips.push_back(ip.address.ToString());
    return ips;
  }

  TempDir directory_;
  std::string args_;
};

constexpr char kSubnet[] = R"("subnet": "10.0.0.0/24")";

TEST_F(HostLocalTest, AddCheckDelCheck) {
  PluginRequest request = Request(kSubnet);
  EXPECT_THAT(kHostLocalPlugin.check(request),
              StatusIs(absl::StatusCode::kNotFound,
                       "host-local: Failed to find address added by container "
                       "pod-1"));
  EXPECT_THAT(kHostLocalPlugin.del(request), IsOk());
  EXPECT_FALSE(PathExists(directory_ / "net"));

  ASSERT_OK_AND_ASSIGN(std::string text, kHostLocalPlugin.add(request));
  EXPECT_EQ(text, R"({
    "cniVersion": "1.1.0",
    "ips": [
        {
            "address": "10.0.0.2/24",
            "gateway": "10.0.0.1"
        }
    ]
})");
  EXPECT_THAT(kHostLocalPlugin.check(request), IsOk());
  EXPECT_THAT(kHostLocalPlugin.del(request), IsOk());
  EXPECT_THAT(kHostLocalPlugin.del(request), IsOk());
  EXPECT_FALSE(kHostLocalPlugin.check(request).ok());
}

TEST_F(HostLocalTest, DelWorksWhateverBecameOfTheRanges) {
  ASSERT_THAT(Ips(Request(kSubnet)), ElementsAre("10.0.0.2/24"));
  EXPECT_THAT(kHostLocalPlugin.del(Request(R"("subnet": "bogus")")), IsOk());
  EXPECT_FALSE(PathExists(directory_ / "net/10.0.0.2"));
}

TEST_F(HostLocalTest, RangesOfAllThreeSourcesInGosOrder) {
  EXPECT_THAT(
      Ips(Request(
          R"("subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}]])",
          R"("runtimeConfig": {"ipRanges": [[{"subnet": "10.3.0.0/24"}]]})")),
      ElementsAre("10.3.0.2/24", "10.1.0.2/24", "10.2.0.2/24"));
  EXPECT_TRUE(PathExists(directory_ / "net/last_reserved_ip.2"));
}

TEST_F(HostLocalTest, RequestedIpsOfAllThreeSources) {
  args_ = "IgnoreUnknown=1;IP=10.0.0.50;K8S_POD_NAME=x";
  EXPECT_THAT(Ips(Request(kSubnet)), ElementsAre("10.0.0.50/24"));
  args_ = "";
  EXPECT_THAT(
      Ips(Request(kSubnet, R"("args": {"cni": {"ips": ["10.0.0.60/8"]}})",
                  "pod-2")),
      ElementsAre("10.0.0.60/24"));
  EXPECT_THAT(Ips(Request(kSubnet, R"("runtimeConfig": {"ips": ["10.0.0.70"]})",
                          "pod-3")),
              ElementsAre("10.0.0.70/24"));
  // An unknown key without IgnoreUnknown is no error here, unlike in Go.
  args_ = "MAC=02:00:00:00:00:01";
  EXPECT_THAT(Ips(Request(kSubnet, "", "pod-4")), ElementsAre("10.0.0.71/24"));
}

TEST_F(HostLocalTest, RoutesAndDns) {
  const std::string file = directory_ / "resolv.conf";
  ASSERT_THAT(WriteFileAtomic(file,
                              "# comment\n; other\nnameserver 10.0.0.1\n"
                              "nameserver\t10.0.0.9 \r\nsearch a.b c.d\n"
                              "domain example.org\noptions ndots:2 rotate\n"
                              "nameserver\nsortlist x\n"),
              IsOk());
  ASSERT_OK_AND_ASSIGN(CniResult result,
                       HostLocalAdd(Request(absl::StrCat(
                           kSubnet, R"(, "routes": [{"dst": "0.0.0.0/0"},
          {"dst": "10.9.0.0/16", "gw": "10.0.0.7", "mtu": 1400}],
          "resolvConf": ")",
                           file, "\""))));
  EXPECT_THAT(result.dns.nameservers, ElementsAre("10.0.0.1", "10.0.0.9"));
  EXPECT_THAT(result.dns.search, ElementsAre("a.b", "c.d"));
  EXPECT_THAT(result.dns.options, ElementsAre("ndots:2", "rotate"));
  EXPECT_EQ(result.dns.domain, "example.org");
  ASSERT_EQ(result.routes.size(), 2u);
  EXPECT_EQ(result.routes[1].gateway->ToString(), "10.0.0.7");
  EXPECT_EQ(result.routes[1].mtu, 1400);
}

TEST_F(HostLocalTest, ConfigurationErrorsNameTheField) {
  struct Case {
    const char* ipam;
    const char* more;
    const char* error;
  };
  for (const Case& c : {
           Case{"", "", "no IP ranges specified"},
           Case{R"("subnet": "10.0.0.0")", "", "ipam.subnet: invalid CIDR"},
           Case{R"("ranges": [[{}]])", "", "ipam.ranges[0][0].subnet: missing"},
           Case{R"("ranges": [[]])", "", "invalid range set 0: empty"},
           Case{R"("ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "x"}]])",
                "", "ipam.ranges[0][0].rangeStart: invalid IP"},
           Case{R"("ranges": [[{"subnet": "10.0.0.0/24"}],
                              [{"subnet": "10.0.0.0/8"}]])",
                "", "range set 0 overlaps with 1"},
           Case{R"("subnet": "10.0.0.0/31")", "", "too small"},
           Case{R"("subnet": "10.0.0.0/24", "routes": [{"gw": "10.0.0.1"}])",
                "", "ipam.routes[0].dst: missing"},
           Case{kSubnet, R"("runtimeConfig": {"ips": ["x"]})",
                "runtimeConfig.ips: invalid IP address \"x\""},
           Case{R"("subnet": "10.0.0.0/24", "resolvConf": "/no/such")", "",
                "ipam.resolvConf"},
       }) {
    EXPECT_THAT(HostLocalAdd(Request(c.ipam, c.more)).status().message(),
                HasSubstr(c.error))
        << c.ipam << c.more;
  }
  args_ = "IP=1=2";
  EXPECT_THAT(HostLocalAdd(Request(kSubnet)).status().message(),
              HasSubstr("ARGS: invalid pair \"IP=1=2\""));
  EXPECT_FALSE(PathExists(directory_ / "net"));
}

TEST_F(HostLocalTest, OldVersionsHaveOneAddressOfAFamily) {
  PluginRequest request = Request(
      R"("ranges": [[{"subnet": "10.0.0.0/24"}],
                    [{"subnet": "10.1.0.0/24"}]])");
  request.cni_version = "0.2.0";
  EXPECT_THAT(
      HostLocalAdd(request).status().message(),
      HasSubstr("CNI version 0.2.0 does not support more than 1 address "
                "per family"));
}

TEST_F(HostLocalTest, StatusSaysWhenTheRangeIsUsedUp) {
  PluginRequest request = Request(R"("subnet": "10.0.0.0/30")");
  EXPECT_THAT(kHostLocalPlugin.status(request), IsOk());
  ASSERT_THAT(Ips(request), ElementsAre("10.0.0.2/30"));
  absl::Status status = kHostLocalPlugin.status(request);
  EXPECT_EQ(CniCodeOf(status), 50);
  EXPECT_THAT(status.message(), HasSubstr("no IP addresses available"));
}

TEST_F(HostLocalTest, GcKeepsTheValidAndNeedsTheList) {
  ASSERT_THAT(Ips(Request(kSubnet, "", "pod-1")), ElementsAre("10.0.0.2/24"));
  ASSERT_THAT(Ips(Request(kSubnet, "", "pod-2")), ElementsAre("10.0.0.3/24"));
  absl::Status status = kHostLocalPlugin.gc(Request(kSubnet));
  EXPECT_EQ(CniCodeOf(status), 7);
  EXPECT_TRUE(PathExists(directory_ / "net/10.0.0.2"));
  EXPECT_THAT(
      kHostLocalPlugin.gc(Request(kSubnet, R"("cni.dev/valid-attachments":
                      [{"containerID": "pod-2", "ifname": "eth0"}])")),
      IsOk());
  EXPECT_FALSE(PathExists(directory_ / "net/10.0.0.2"));
  EXPECT_TRUE(PathExists(directory_ / "net/10.0.0.3"));
}

}  // namespace
}  // namespace davit
