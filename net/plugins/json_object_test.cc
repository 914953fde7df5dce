#include "net/plugins/json_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

JsonObject Parse(absl::string_view text) { return *JsonObject::Parse(text); }

TEST(JsonObjectTest, RefusesWhatIsNoObject) {
  for (absl::string_view text :
       {"", "[]", "null", "{", "{}x", "\"a\"", "{\"a\":1,}", "\xff{}"}) {
    EXPECT_THAT(JsonObject::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
  // Deeper than any stack; must neither crash nor hang.
  EXPECT_FALSE(JsonObject::Parse("{\"a\":" + std::string(200000, '[')).ok());
}

TEST(JsonObjectTest, KeysMatchAsInGo) {
  JsonObject object = Parse(R"({"IPMASQ": true, "Mtu": 1, "mtu": 2,
                                "name": "x", "NAME": null})");
  bool masq = false;
  EXPECT_THAT(object.Read("ipMasq", &masq), IsOk());
  EXPECT_TRUE(masq);
  std::optional<int64_t> mtu;
  EXPECT_THAT(object.Read("mtu", &mtu), IsOk());
  EXPECT_THAT(mtu, Optional(2));
  std::string absent = "default";
  EXPECT_THAT(object.Read("other", &absent), IsOk());
  EXPECT_EQ(absent, "default");
}

TEST(JsonObjectTest, ErrorsNameTheirPath) {
  JsonObject object = Parse(R"({"ipam": {"ranges": [[{"subnet": 5}], [7]],
      "routes": [{"dst": "10.0.0.0"}], "ips": ["1.2.3.4", 5],
      "big": 1e30, "half": 1.5, "huge": 18446744073709551615}})");
  JsonObject ipam = **object.Object("ipam");
  auto bad_list = ipam.ObjectLists("ranges");
  EXPECT_THAT(bad_list, StatusIs(absl::StatusCode::kInvalidArgument,
                                 "ipam.ranges[1][0]: want an object"));
  std::vector<std::string> ips;
  EXPECT_THAT(ipam.Read("ips", &ips),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "ipam.ips[1]: want a string"));
  std::optional<IpPrefix> dst;
  EXPECT_THAT((*ipam.Objects("routes"))[0].Read("dst", &dst),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("ipam.routes[0].dst: invalid CIDR address "
                                 "\"10.0.0.0\"")));
  std::optional<int64_t> number;
  for (const char* key : {"big", "half", "huge", "ips"}) {
    EXPECT_THAT(ipam.Read(key, &number),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("want a whole number")))
        << key;
  }
  EXPECT_THAT(object.Objects("ipam"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "ipam: want a list of objects"));
  EXPECT_THAT(ipam.Object("ips"), StatusIs(absl::StatusCode::kInvalidArgument,
                                           "ipam.ips: want an object"));
}

TEST(JsonObjectTest, ReadsListsAndAddresses) {
  JsonObject object = Parse(R"({"a": ["x", "y"], "ip": "fd00::1", "no": "",
                                "sets": [[{"k": "v"}], []]})");
  std::vector<std::string> strings;
  ASSERT_THAT(object.Read("a", &strings), IsOk());
  EXPECT_THAT(strings, ElementsAre("x", "y"));
  std::optional<IpAddress> ip;
  ASSERT_THAT(object.Read("no", &ip), IsOk());
  EXPECT_EQ(ip, std::nullopt);
  ASSERT_THAT(object.Read("ip", &ip), IsOk());
  EXPECT_EQ(ip->ToString(), "fd00::1");
  ASSERT_OK_AND_ASSIGN(auto sets, object.ObjectLists("sets"));
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0][0].PathOf("k"), "sets[0][0].k");
}

}  // namespace
}  // namespace davit
