#include "net/cni/result_version.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

constexpr char kOld[] = R"({"cniVersion":"0.2.0",
  "ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1",
         "routes":[{"dst":"0.0.0.0/0"}]},
  "ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},
  "dns":{"nameservers":["10.0.0.1"]}})";
constexpr char kMiddle[] = R"({"cniVersion":"0.4.0",
  "interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/n"}],
  "ips":[{"version":"4","interface":0,"address":"10.0.0.2/24",
          "gateway":"10.0.0.1"},
         {"version":"6","interface":0,"address":"fd00::2/64"}],
  "routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],
  "dns":{},"vendor":7})";
constexpr char kNew[] = R"({"cniVersion":"1.1.0",
  "interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/n",
                 "mtu":1400,"pciID":"0000:3b:00.1","socketPath":"/s"}],
  "ips":[{"interface":0,"address":"10.0.0.2/24","gateway":"10.0.0.1"},
         {"interface":0,"address":"10.0.0.3/24"},
         {"interface":0,"address":"fd00::2/64"}],
  "routes":[{"dst":"0.0.0.0/0","mtu":1300,"table":7,"priority":9,
             "advmss":1200,"scope":253},
            {"dst":"::/0","gw":"fd00::1"}]})";

CniJson Parse(absl::string_view text) { return *ParseCniJson(text); }

TEST(ConvertCniResult, OldToNewHasNoInterfaces) {
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kOld), "1.0.0");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(nlohmann::json(*result), nlohmann::json::parse(R"({
    "cniVersion":"1.0.0",
    "ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"},
           {"address":"fd00::2/64"}],
    "routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],
    "dns":{"nameservers":["10.0.0.1"]}})"));
}

TEST(ConvertCniResult, OldToMiddleTellsTheFamilies) {
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kOld), "0.3.1");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ((*result)["cniVersion"], "0.3.1");
  EXPECT_EQ((*result)["ips"][0]["version"], "4");
  EXPECT_EQ((*result)["ips"][1]["version"], "6");
}

TEST(ConvertCniResult, MiddleToNewAndBackIsTheSame) {
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kMiddle), "1.0.0");
  ASSERT_THAT(result, IsOk());
  EXPECT_FALSE(result->contains("dns"));
  EXPECT_FALSE((*result)["ips"][0].contains("version"));
  EXPECT_EQ((*result)["vendor"], 7) << "unknown keys stay";
  result = ConvertCniResult(*result, "0.4.0");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(nlohmann::json(*result), nlohmann::json::parse(kMiddle));
}

TEST(ConvertCniResult, NewToMiddleLosesWhatHasNoWord) {
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kNew), "0.3.1");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(nlohmann::json((*result)["interfaces"]),
            nlohmann::json::parse(R"([{"name":"eth0",
              "mac":"02:00:00:00:00:01","sandbox":"/n"}])"));
  EXPECT_EQ(nlohmann::json((*result)["routes"][0]),
            nlohmann::json::parse(R"({"dst":"0.0.0.0/0"})"));
  EXPECT_EQ((*result)["ips"].size(), 3u);
  EXPECT_TRUE((*result)["dns"].is_object());
}

TEST(ConvertCniResult, NewToOldKeepsTheFirstAddressOfEachFamily) {
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kNew), "0.1.0");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(nlohmann::json(*result), nlohmann::json::parse(R"({
    "cniVersion":"0.1.0",
    "ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1",
           "routes":[{"dst":"0.0.0.0/0"}]},
    "ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0","gw":"fd00::1"}]}})"));
}

TEST(ConvertCniResult, SameShapeChangesTheVersionOnly) {
  CniJson wanted = Parse(kNew);
  wanted["cniVersion"] = "1.0.0";
  absl::StatusOr<CniJson> result = ConvertCniResult(Parse(kNew), "1.0.0");
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(*result, wanted);
}

TEST(ConvertCniResult, RefusesWhatItCannotSay) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ConvertCniResult(Parse(kNew), "9.0.0"),
              StatusIs(kInvalid, HasSubstr("cniVersion \"9.0.0\"")));
  EXPECT_THAT(ConvertCniResult(Parse(R"({"cniVersion":"2.0.0"})"), "1.0.0"),
              StatusIs(kInvalid, HasSubstr("cniVersion \"2.0.0\"")));
  EXPECT_THAT(ConvertCniResult(Parse(R"({"cniVersion":"1.0.0"})"), "0.2.0"),
              StatusIs(kInvalid, HasSubstr("ips has no address")));
  EXPECT_THAT(
      ConvertCniResult(Parse(R"({"cniVersion":"1.0.0","ips":[{"address":1}]})"),
                       "0.2.0"),
      StatusIs(kInvalid, HasSubstr("ips[0].address is not a string")));
  EXPECT_THAT(
      ConvertCniResult(Parse(R"({"cniVersion":"0.2.0","ip4":[]})"), "1.0.0"),
      StatusIs(kInvalid, HasSubstr("ip4 is not an object")));
}

}  // namespace
}  // namespace davit
