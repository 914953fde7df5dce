#include "runtime/cgroup/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// file -> value of those that limit something.
std::vector<std::pair<std::string, std::string>> Limiting(
    const std::vector<LimitWrite>& writes) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const LimitWrite& write : writes) {
    if (write.is_limit) result.emplace_back(write.file, write.value);
  }
  return result;
}

CgroupLimits Everything() {
  return {.memory_max_bytes = 1 << 20,
          .memory_high_bytes = 1 << 19,
          .memory_swap_max_bytes = 4096,
          .cpu_millis = 250,
          .cpu_weight = 50,
          .cpuset_cpus = "0-1",
          .pids_max = 33,
          .io_weight = 200,
          .io_max = {{.major = 7,
                      .minor = 3,
                      .read_bytes_per_second = 1000,
                      .write_ops_per_second = 5}}};
}

TEST(PlanLimits, HasTheFilesOfV2) {
  EXPECT_THAT(
      Limiting(PlanLimitsV2(Everything())),
      ElementsAre(Pair("memory.max", "1048576"), Pair("memory.high", "524288"),
                  Pair("memory.swap.max", "4096"),
                  Pair("cpu.max", "25000 100000"), Pair("cpu.weight", "50"),
                  Pair("cpuset.cpus", "0-1"), Pair("pids.max", "33"),
                  Pair("io.weight", "default 200"),
                  Pair("io.max", "7:3 rbps=1000 wbps=max riops=max wiops=5")));
}

TEST(PlanLimits, HasTheFilesOfV1) {
  EXPECT_THAT(
      Limiting(PlanLimitsV1(Everything())),
      ElementsAre(Pair("memory.limit_in_bytes", "1048576"),
                  Pair("memory.soft_limit_in_bytes", "524288"),
                  // Memory and swap together.
                  Pair("memory.memsw.limit_in_bytes", "1052672"),
                  Pair("cpu.cfs_period_us", "100000"),
                  Pair("cpu.cfs_quota_us", "25000"), Pair("cpu.shares", "512"),
                  Pair("cpuset.cpus", "0-1"), Pair("pids.max", "33"),
                  Pair("blkio.bfq.weight", "200"),
                  Pair("blkio.throttle.read_bps_device", "7:3 1000"),
                  Pair("blkio.throttle.write_iops_device", "7:3 5")));
}

TEST(PlanLimits, NoLimitLiftsAll) {
  EXPECT_THAT(Limiting(PlanLimitsV1({})), IsEmpty());
  EXPECT_THAT(Limiting(PlanLimitsV2({})), IsEmpty());
  std::map<std::string, std::string> lifted;
  for (const auto& writes : {PlanLimitsV1({}), PlanLimitsV2({})}) {
    for (const LimitWrite& write : writes) lifted[write.file] = write.value;
  }
  EXPECT_EQ(lifted["memory.max"], "max");
  EXPECT_EQ(lifted["memory.limit_in_bytes"], "-1");
  EXPECT_EQ(lifted["cpu.max"], "max 100000");
  EXPECT_EQ(lifted["cpu.cfs_quota_us"], "-1");
  EXPECT_EQ(lifted["cpu.weight"], "100");
  EXPECT_EQ(lifted["cpu.shares"], "1024");
  EXPECT_EQ(lifted["pids.max"], "max");
}

TEST(PlanLimits, SwapOfNothingIsALimit) {
  EXPECT_THAT(Limiting(PlanLimitsV2({.memory_swap_max_bytes = 0})),
              ElementsAre(Pair("memory.swap.max", "0")));
}

TEST(PlanLimits, NoQuotaBelowTheKernelsLeast) {
  EXPECT_THAT(Limiting(PlanLimitsV2({.cpu_millis = 1})),
              ElementsAre(Pair("cpu.max", "1000 100000")));
}

TEST(ValidateLimits, NamesTheField) {
  EXPECT_THAT(ValidateLimits(Everything()), IsOk());
  EXPECT_THAT(ValidateLimits({}), IsOk());
  EXPECT_THAT(ValidateLimits({.cpu_weight = 10001}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("cpu_weight"), HasSubstr("10001"))));
  EXPECT_THAT(
      ValidateLimits({.io_weight = 20000}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("io_weight")));
  for (const char* cpus : {"a", "1-", "-1", "2-1", "1,,2", "1-2-3", "0 1"}) {
    EXPECT_THAT(
        ValidateLimits({.cpuset_cpus = cpus}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cpuset_cpus")))
        << cpus;
  }
}

}  // namespace
}  // namespace davit
