#include "net/plugins/bandwidth_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "net/plugins/sha512.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<BandwidthConfig> Parse(const std::string& members) {
  std::string text = absl::StrCat(R"({"name": "net", "type": "bandwidth")",
                                  members.empty() ? "" : ", ", members, "}");
  return ParseBandwidthConfig({"ADD", "pod-1", "eth0", "/ns", "", "/cni", text,
                               *JsonObject::Parse(text), "net", "1.0.0"});
}

TEST(Sha512Test, ExamplesOfTheStandard) {
  EXPECT_EQ(Sha512Hex("abc"),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(Sha512Hex(""),
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
            "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
  // Two blocks, as the length does not fit behind 112 bytes.
  EXPECT_EQ(
      Sha512Hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
      "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909");
}

TEST(BandwidthConfigTest, NothingIsNoLimit) {
  for (const char* members :
       {"", R"("runtimeConfig": {})", R"("runtimeConfig": {"bandwidth": {}})",
        R"("ingressRate": 0, "ingressBurst": 0)"}) {
    ASSERT_OK_AND_ASSIGN(BandwidthConfig config, Parse(members));
    EXPECT_FALSE(config.ingress.has_value()) << members;
    EXPECT_FALSE(config.egress.has_value()) << members;
  }
}

TEST(BandwidthConfigTest, StaticKeysWinOverTheRuntimes) {
  const std::string runtime = R"("runtimeConfig": {"bandwidth": {
      "egressRate": 16, "egressBurst": 24}})";
  ASSERT_OK_AND_ASSIGN(BandwidthConfig config, Parse(runtime));
  EXPECT_FALSE(config.ingress.has_value());
  EXPECT_EQ(config.egress, (BandwidthLimit{16, 24}));
  ASSERT_OK_AND_ASSIGN(
      config, Parse(runtime + R"(, "ingressRate": 80, "ingressBurst": 8)"));
  EXPECT_EQ(config.ingress, (BandwidthLimit{80, 8}));
  EXPECT_FALSE(config.egress.has_value());
  // A zero is a key too.
  ASSERT_OK_AND_ASSIGN(config, Parse(runtime + R"(, "ingressRate": 0)"));
  EXPECT_FALSE(config.egress.has_value());
}

TEST(BandwidthConfigTest, ErrorsNameTheField) {
  auto error = [](const std::string& members) {
    return std::string(Parse(members).status().message());
  };
  EXPECT_EQ(error(R"("ingressRate": 8)"),
            "ingressBurst: must be set if ingressRate is");
  EXPECT_EQ(error(R"("runtimeConfig": {"bandwidth": {"egressBurst": 8}})"),
            "runtimeConfig.bandwidth.egressRate: must be set if "
            "runtimeConfig.bandwidth.egressBurst is");
  EXPECT_EQ(error(R"("egressRate": -1, "egressBurst": 8)"),
            "egressRate: -1 is negative");
  EXPECT_EQ(error(R"("egressRate": 7, "egressBurst": 8)"),
            "egressRate: 7 is less than a byte");
  EXPECT_EQ(error(R"("egressRate": 8, "egressBurst": 34359738360)"),
            "egressBurst: cannot be more than 4 GiB");
  EXPECT_THAT(error(R"("egressRate": "1M", "egressBurst": 8)"),
              HasSubstr("egressRate: want a whole number"));
}

// The numbers that Go's plugin gives for the same limits.
TEST(BandwidthConfigTest, BucketsAreThoseOfGo) {
  EXPECT_EQ(MakeTokenBucket({8'000'000, 8'000'000}),
            (TokenBucket{
                .rate = 1'000'000, .buffer = 15'625'000, .limit = 1'025'000}));
  EXPECT_EQ(
      MakeTokenBucket({100'000'001, 12'345}),
      (TokenBucket{.rate = 12'500'000, .buffer = 1921, .limit = 314'043}));
  // Whatever overflows there is the largest possible here.
  EXPECT_EQ(
      MakeTokenBucket({8, 8'000'000'000}),
      (TokenBucket{.rate = 1, .buffer = 4294967295, .limit = 1'000'000'000}));
}

TEST(BandwidthConfigTest, NamesOfIfbs) {
  // printf net%s pod-1 | sha512sum
  EXPECT_EQ(IfbName("net", "pod-1"),
            "bwp" + Sha512Hex("netpod-1").substr(0, 12));
  EXPECT_EQ(IfbName("net", "pod-1").size(), 15u);
}

}  // namespace
}  // namespace davit
