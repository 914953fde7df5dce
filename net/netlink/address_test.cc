#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/string_view.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/mac_address.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

IpAddress Ip(absl::string_view text) {
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or(IpAddress());
}

TEST(IpAddressTest, TextsAreCanonical) {
  EXPECT_EQ(Ip("172.16.28.2").ToString(), "172.16.28.2");
  EXPECT_EQ(Ip("FD00:0:0::0002").ToString(), "fd00::2");
  EXPECT_EQ(Ip("::").ToString(), "::");
  EXPECT_EQ(Ip("::1").ToString(), "::1");
  EXPECT_EQ(Ip("fe80::").ToString(), "fe80::");
  EXPECT_EQ(Ip("1:0:2:3:4:5:6:7").ToString(), "1:0:2:3:4:5:6:7");
  EXPECT_EQ(Ip("1:0:0:2:0:0:0:3").ToString(), "1:0:0:2::3");
  EXPECT_EQ(Ip("1:0:0:2:3:0:0:4").ToString(), "1::2:3:0:0:4");
  // inet_ntop(3) would say ::1.2.3.4; Go says this, and names files by it.
  EXPECT_EQ(Ip("::1.2.3.4").ToString(), "::102:304");
}

TEST(IpAddressTest, MappedAddressesAreIpv4) {
  EXPECT_EQ(Ip("::ffff:10.0.0.1"), Ip("10.0.0.1"));
  EXPECT_FALSE(Ip("::ffff:10.0.0.1").is_v6());
}

TEST(IpAddressTest, RefusesOtherTexts) {
  for (absl::string_view text :
       {"", " 10.0.0.1", "10.0.0.1 ", "10.0.0", "10.0.0.256", "010.0.0.1",
        "1.2.3.4/24", "fe80::1%eth0", "lock", "last_reserved_ip.0",
        ":::", "12345::", "../10.0.0.1"}) {
    EXPECT_THAT(IpAddress::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("invalid IP address")))
        << text;
  }
  EXPECT_FALSE(IpAddress::Parse(absl::string_view("10.0.0.1\0x", 10)).ok());
  EXPECT_FALSE(IpAddress::FromBytes("12345", 5).ok());
}

TEST(IpAddressTest, ArithmeticCarriesAndBorrows) {
  EXPECT_EQ(Ip("10.0.0.255").Next(), Ip("10.0.1.0"));
  EXPECT_EQ(Ip("10.0.1.0").Previous(), Ip("10.0.0.255"));
  EXPECT_EQ(Ip("255.255.255.255").Next(), Ip("0.0.0.0"));
  EXPECT_EQ(Ip("fd00::ffff:ffff").Next(), Ip("fd00::1:0:0"));
  EXPECT_EQ(Ip("fd00::1:0:0").Previous(), Ip("fd00::ffff:ffff"));
  EXPECT_LT(Ip("10.0.0.9"), Ip("10.0.0.10"));
  EXPECT_LT(Ip("10.0.0.9"), Ip("::1"));
}

TEST(IpAddressTest, PrefixEnds) {
  EXPECT_EQ(Ip("172.16.29.77").FirstOf(23), Ip("172.16.28.0"));
  EXPECT_EQ(Ip("172.16.29.77").LastOf(23), Ip("172.16.29.255"));
  EXPECT_EQ(Ip("172.16.29.77").FirstOf(0), Ip("0.0.0.0"));
  EXPECT_EQ(Ip("172.16.29.77").FirstOf(32), Ip("172.16.29.77"));
  EXPECT_EQ(Ip("fd00::1234").LastOf(120), Ip("fd00::12ff"));
}

TEST(IpAddressTest, Loopback) {
  EXPECT_TRUE(Ip("127.8.9.1").IsLoopback());
  EXPECT_TRUE(Ip("::1").IsLoopback());
  EXPECT_FALSE(Ip("128.0.0.1").IsLoopback());
  EXPECT_FALSE(Ip("fe80::1").IsLoopback());
}

TEST(IpPrefixTest, ParsesAndKeepsHostBits) {
  ASSERT_OK_AND_ASSIGN(IpPrefix prefix, IpPrefix::Parse("172.16.28.2/24"));
  EXPECT_EQ(prefix.ToString(), "172.16.28.2/24");
  EXPECT_EQ(prefix.Network().ToString(), "172.16.28.0/24");
  EXPECT_TRUE(prefix.Contains(Ip("172.16.28.255")));
  EXPECT_FALSE(prefix.Contains(Ip("172.16.29.0")));
  EXPECT_FALSE(prefix.Contains(Ip("fd00::1")));
}

TEST(IpPrefixTest, RefusesOtherTexts) {
  for (absl::string_view text :
       {"", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1",
        "10.0.0.1/+8", "10.0.0.1/8 ", "10.0.0.1/0008", "fd00::/129", "/8",
        "10.0.0.1/8/8"}) {
    EXPECT_THAT(IpPrefix::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("invalid CIDR address")))
        << text;
  }
}

TEST(MacAddressTest, RoundTripsAndRefuses) {
  ASSERT_OK_AND_ASSIGN(MacAddress mac, MacAddress::Parse("02:00:5E-10:AB:ff"));
  EXPECT_EQ(mac.ToString(), "02:00:5e:10:ab:ff");
  EXPECT_THAT(
      MacAddress::Parse("01:00:5e:00:00:01"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("group address")));
  for (absl::string_view text : {"", "02:00:5e:10:ab", "02:00:5e:10:ab:ff:00",
                                 "2:0:5e:10:ab:ff", "02:00:5e:10:ab:fg"}) {
    EXPECT_FALSE(MacAddress::Parse(text).ok()) << text;
  }
}

TEST(MacAddressTest, HashedOnesAreLocalUnicast) {
  for (uint64_t hash : {0ull, 0xffffffffffffffffull, 0x123456789abcdefull}) {
    uint8_t first = MacAddress::FromHash(hash).bytes[0];
    EXPECT_EQ(first & 3, 2) << hash;
  }
  EXPECT_NE(MacAddress::FromHash(1 << 8), MacAddress::FromHash(2 << 8));
}

}  // namespace
}  // namespace davit
