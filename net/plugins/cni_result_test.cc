#include "net/plugins/cni_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "net/plugins/cni_version.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

CniResult Sample() {
  CniResult result;
  result.interfaces = {{"veth1", "02:00:00:00:00:01", ""},
                       {"eth0", "02:00:00:00:00:02", "/run/netns/x"}};
  result.ips = {
      {1, *IpPrefix::Parse("10.0.0.2/24"), *IpAddress::Parse("10.0.0.1")},
      {1, *IpPrefix::Parse("10.0.9.2/24"), std::nullopt},
      {1, *IpPrefix::Parse("fd00::2/64"), *IpAddress::Parse("fd00::1")}};
  CniRoute with_gateway{*IpPrefix::Parse("10.8.0.0/16"),
                        *IpAddress::Parse("10.0.0.9")};
  CniRoute v6{*IpPrefix::Parse("::/0"), std::nullopt};
  result.routes = {with_gateway, v6};
  return result;
}

Json Format(const CniResult& result, const std::string& version) {
  absl::StatusOr<std::string> text = FormatCniResult(result, version);
  EXPECT_TRUE(text.ok()) << text.status();
  return Json::parse(text.value_or("null"));
}

TEST(CniResultTest, Version1) {
  EXPECT_EQ(Format(Sample(), "1.0.0"), Json::parse(R"({
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "veth1", "mac": "02:00:00:00:00:01"},
                   {"name": "eth0", "mac": "02:00:00:00:00:02",
                    "sandbox": "/run/netns/x"}],
    "ips": [{"interface": 1, "address": "10.0.0.2/24", "gateway": "10.0.0.1"},
            {"interface": 1, "address": "10.0.9.2/24"},
            {"interface": 1, "address": "fd00::2/64", "gateway": "fd00::1"}],
    "routes": [{"dst": "10.8.0.0/16", "gw": "10.0.0.9"}, {"dst": "::/0"}]})"));
}

TEST(CniResultTest, Version03SaysTheFamilyAndAlwaysDns) {
  for (const char* version : {"0.3.0", "0.3.1", "0.4.0"}) {
    Json json = Format(Sample(), version);
    EXPECT_EQ(json["cniVersion"], version);
    EXPECT_EQ(json["ips"][0]["version"], "4");
    EXPECT_EQ(json["ips"][2]["version"], "6");
    EXPECT_EQ(json["dns"], Json::object());
  }
}

TEST(CniResultTest, Version02HasOneAddressOfEachFamily) {
  for (const char* version : {"0.1.0", "0.2.0"}) {
    Json want = Json::parse(R"({
      "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1",
              "routes": [{"dst": "10.8.0.0/16", "gw": "10.0.0.9"}]},
      "ip6": {"ip": "fd00::2/64", "gateway": "fd00::1",
              "routes": [{"dst": "::/0"}]},
      "dns": {}})");
    want["cniVersion"] = version;
    // Objects of ordered_json compare with their order; that is no matter.
    EXPECT_EQ(nlohmann::json(Format(Sample(), version)), nlohmann::json(want));
  }
  EXPECT_THAT(FormatCniResult(CniResult(), "0.2.0"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "cannot convert: no valid IP addresses"));
}

TEST(CniResultTest, TextIsIndentedByFour) {
  EXPECT_EQ(*FormatCniResult(CniResult(), "1.0.0"),
            "{\n    \"cniVersion\": \"1.0.0\"\n}");
}

TEST(CniResultTest, EveryVersionReadsWhatItWrites) {
  CniResult sample = Sample();
  sample.dns = {{"10.0.0.1"}, "example.org", {"a", "b"}, {"ndots:2"}};
  sample.routes[1].mtu = 1400;
  sample.routes[1].table = 7;
  for (const std::string& version : SupportedCniVersions()) {
    ASSERT_OK_AND_ASSIGN(std::string text, FormatCniResult(sample, version));
    ASSERT_OK_AND_ASSIGN(JsonObject object, JsonObject::Parse(text));
    ASSERT_OK_AND_ASSIGN(CniResult read, ParseCniResult(object, "9.9.9"));
    EXPECT_EQ(read.dns, sample.dns) << version;
    EXPECT_EQ(read.ips.front().address, sample.ips.front().address);
    if (version >= "0.3.0") {
      EXPECT_EQ(read, sample) << version;
    }
  }
}

TEST(CniResultTest, ReadErrorsNameTheField) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : {
           Case{R"({"ips": [{}]})", "ips[0].address: missing"},
           Case{R"({"ips": [{"address": "10.0.0.2"}]})", "ips[0].address"},
           Case{R"({"routes": [{"gw": "x", "dst": "::/0"}]})", "routes[0].gw"},
           Case{R"({"cniVersion": "9.0.0"})", "unsupported version 9.0.0"},
           Case{R"({"dns": {"search": "x"}})", "dns.search"},
           Case{R"({"cniVersion": "0.2.0", "ip4": {}})", "ip4.ip: missing"},
       }) {
    EXPECT_THAT(
        ParseCniResult(*JsonObject::Parse(c.text), "1.0.0"),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.error)))
        << c.text;
  }
}

TEST(CniResultTest, PassedResultsKeepWhatWeDoNotKnow) {
  ASSERT_OK_AND_ASSIGN(
      JsonObject object,
      JsonObject::Parse(R"({"cniVersion": "0.4.0", "x": {"y": [1]}})"));
  EXPECT_EQ(Json::parse(FormatPassedResult(object, "1.0.0")),
            Json::parse(R"({"cniVersion": "1.0.0", "x": {"y": [1]}})"));
}

TEST(CniVersionTest, ComparesNumbersNotTexts) {
  EXPECT_TRUE(*VersionAtLeast("0.10.0", "0.4.0"));
  EXPECT_TRUE(*VersionAtLeast("1.0.0", "1.0.0"));
  EXPECT_FALSE(*VersionAtLeast("0.3.1", "0.4.0"));
  for (const char* bad : {"", "1", "1.0", "1.0.x", "1.0.0.0", "-1.0.0"}) {
    EXPECT_THAT(VersionAtLeast(bad, "1.0.0"),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace davit
