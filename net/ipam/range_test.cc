#include "net/ipam/range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

RangeSpec Spec(absl::string_view subnet) {
  return {*IpPrefix::Parse(subnet), {}, {}, {}};
}

Range MakeRange(absl::string_view subnet) {
  return *Range::Create(Spec(subnet));
}

TEST(RangeTest, DefaultsLeaveOutNetworkAndBroadcast) {
  Range v4 = MakeRange("172.16.28.0/24");
  EXPECT_EQ(v4.ToString(), "172.16.28.1-172.16.28.254");
  EXPECT_EQ(v4.gateway(), Ip("172.16.28.1"));
  EXPECT_FALSE(v4.Contains(Ip("172.16.28.0")));
  EXPECT_FALSE(v4.Contains(Ip("172.16.28.255")));
  EXPECT_TRUE(v4.Contains(Ip("172.16.28.254")));
  EXPECT_FALSE(v4.Contains(Ip("fd00::1")));
  // IPv6 has no broadcast address.
  EXPECT_EQ(MakeRange("fd00::/120").ToString(), "fd00::1-fd00::ff");
  EXPECT_EQ(MakeRange("10.0.0.0/30").ToString(), "10.0.0.1-10.0.0.2");
}

TEST(RangeTest, ExplicitEndsAndGateway) {
  RangeSpec spec = Spec("10.0.0.0/24");
  spec.start = Ip("10.0.0.10");
  spec.end = Ip("10.0.0.20");
  spec.gateway = Ip("10.0.0.254");
  ASSERT_OK_AND_ASSIGN(Range range, Range::Create(spec));
  EXPECT_TRUE(range.Contains(Ip("10.0.0.10")));
  EXPECT_TRUE(range.Contains(Ip("10.0.0.20")));
  EXPECT_FALSE(range.Contains(Ip("10.0.0.9")));
  EXPECT_FALSE(range.Contains(Ip("10.0.0.21")));
  EXPECT_EQ(range.gateway(), Ip("10.0.0.254"));
}

TEST(RangeTest, RefusesSubnetsThatAreNone) {
  for (absl::string_view small :
       {"10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::/128"}) {
    EXPECT_THAT(Range::Create(Spec(small)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("too small to allocate from")));
  }
  EXPECT_THAT(Range::Create(Spec("10.0.0.1/24")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("host bits set, the network is 10.0.0.0/24")));
}

TEST(RangeTest, RefusesEndsOutsideOrCrossed) {
  RangeSpec spec = Spec("10.0.0.0/24");
  spec.start = Ip("10.0.1.1");
  EXPECT_THAT(Range::Create(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("rangeStart 10.0.1.1 is not in subnet")));
  spec.start = Ip("fd00::1");
  EXPECT_FALSE(Range::Create(spec).ok());
  spec.start = Ip("10.0.0.20");
  spec.end = Ip("10.0.0.10");
  EXPECT_THAT(Range::Create(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("rangeEnd 10.0.0.10 is before")));
  spec.start.reset();
  spec.end = Ip("10.0.1.0");
  EXPECT_THAT(Range::Create(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("rangeEnd 10.0.1.0 is not in subnet")));
}

TEST(RangeTest, OverlapIsSymmetricAndSeesNesting) {
  Range wide = MakeRange("10.0.0.0/16");
  Range narrow = MakeRange("10.0.7.0/24");
  EXPECT_TRUE(wide.Overlaps(narrow));
  EXPECT_TRUE(narrow.Overlaps(wide));
  EXPECT_FALSE(narrow.Overlaps(MakeRange("10.0.8.0/24")));
  EXPECT_FALSE(narrow.Overlaps(MakeRange("fd00::/64")));
}

TEST(RangeSetTest, ChecksItsRanges) {
  EXPECT_THAT(RangeSet::Create({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("empty range set")));
  EXPECT_THAT(
      RangeSet::Create({MakeRange("10.0.0.0/24"), MakeRange("fd00::/64")}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("mixed address families")));
  EXPECT_THAT(
      RangeSet::Create({MakeRange("10.0.0.0/24"), MakeRange("10.0.1.0/24"),
                        MakeRange("10.0.0.0/16")}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("overlap")));
}

TEST(RangeSetTest, FindsTheRange) {
  ASSERT_OK_AND_ASSIGN(
      RangeSet set,
      RangeSet::Create({MakeRange("10.0.0.0/24"), MakeRange("10.0.2.0/24")}));
  EXPECT_EQ(set.Find(Ip("10.0.2.7")), &set.ranges()[1]);
  EXPECT_EQ(set.Find(Ip("10.0.1.7")), nullptr);
  EXPECT_EQ(set.ToString(), "10.0.0.1-10.0.0.254,10.0.2.1-10.0.2.254");
  ASSERT_OK_AND_ASSIGN(RangeSet other,
                       RangeSet::Create({MakeRange("10.0.2.0/25")}));
  EXPECT_TRUE(set.Overlaps(other));
  EXPECT_TRUE(other.Overlaps(set));
}

}  // namespace
}  // namespace davit
