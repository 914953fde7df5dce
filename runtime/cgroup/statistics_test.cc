#include "runtime/cgroup/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ParsePressure, ReadsSomeAndFull) {
  EXPECT_EQ(ParsePressure("some avg10=1.50 avg60=0.25 avg300=0.00 total=42\n"
                          "full avg10=0.00 avg60=0.00 avg300=0.01 total=7\n"),
            (Pressure{.some = {1.5, 0.25, 0, 42}, .full = {0, 0, 0.01, 7}}));
  // The processor of old kernels has no "full".
  EXPECT_EQ(ParsePressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"),
            (Pressure{.some = {0, 0, 0, 1}}));
  for (const char* text : {"", "some", "some avg10=x avg60=0 avg300=0 total=0",
                           "full avg10=0 avg60=0 avg300=0 total=0"}) {
    EXPECT_EQ(ParsePressure(text), std::nullopt) << text;
  }
}

TEST(ParseIoStat, ReadsDevicesAndSkipsTheRest) {
  EXPECT_THAT(
      ParseIoStat("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
                  "8:0 rbytes=9\nx:y rbytes=1\n253:0\n"),
      ElementsAre(IoStatistics{.major = 8, .minor = 0, .read_bytes = 9},
                  IoStatistics{8, 16, 1, 2, 3, 4}));
  EXPECT_THAT(ParseIoStat(""), IsEmpty());
}

TEST(ParseBlkio, JoinsBytesAndOperations) {
  EXPECT_THAT(ParseBlkio("7:0 Read 4096\n7:0 Write 0\n7:0 Sync 1\nTotal 4096\n",
                         "7:0 Read 1\n8:0 Write 2\nTotal 3\n"),
              ElementsAre(IoStatistics{7, 0, 4096, 0, 1, 0},
                          IoStatistics{8, 0, 0, 0, 0, 2}));
}

class StatisticsTest : public ::testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text) {
    ASSERT_THAT(WriteFileAtomic(dir_ / file, text), IsOk());
  }
  TempDir dir_;
};

TEST_F(StatisticsTest, OfPureV2) {
  Write("cpu.stat",
        "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\n"
        "nr_throttled 2\nthrottled_usec 700\n");
  Write("memory.current", "4096\n");
  Write("memory.peak", "8192\n");
  Write("memory.swap.current", "12\n");
  Write("memory.events", "low 0\noom 1\noom_kill 3\n");
  Write("pids.current", "6\n");
  Write("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n");
  Write("memory.pressure", "some avg10=0 avg60=0 avg300=0 total=5\n");
  PodCgroup cgroup({{.v2 = true, .base = dir_.path(), .hand_down = true}});
  ASSERT_OK_AND_ASSIGN(CgroupStatistics got, ReadStatistics(cgroup));
  EXPECT_EQ(got.cpu_usec, 30);
  EXPECT_EQ(got.cpu_user_usec, 20);
  EXPECT_EQ(got.cpu_system_usec, 10);
  EXPECT_EQ(got.cpu_periods, 5);
  EXPECT_EQ(got.cpu_throttled_periods, 2);
  EXPECT_EQ(got.cpu_throttled_usec, 700);
  EXPECT_EQ(got.memory_bytes, 4096);
  EXPECT_EQ(got.memory_peak_bytes, 8192);
  EXPECT_EQ(got.swap_bytes, 12);
  EXPECT_EQ(got.oom_kills, 3);
  EXPECT_EQ(got.tasks, 6);
  EXPECT_THAT(got.io, ElementsAre(IoStatistics{8, 0, 1, 2, 3, 4}));
  ASSERT_TRUE(got.memory_pressure.has_value());
  EXPECT_EQ(got.memory_pressure->some.total_usec, 5);
  EXPECT_FALSE(got.cpu_pressure.has_value());
}

TEST_F(StatisticsTest, OfV1InOtherUnits) {
  Write("cpuacct.usage", "5000000\n");
  Write("cpuacct.stat", "user 3\nsystem 1\n");
  Write("cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 2000000\n");
  Write("memory.usage_in_bytes", "1\n");
  Write("memory.max_usage_in_bytes", "2\n");
  Write("memory.stat", "swap 1\ntotal_swap 33\n");
  PodCgroup cgroup({{.controllers = {"cpu", "cpuacct"}, .base = dir_.path()},
                    {.controllers = {"memory"}, .base = dir_.path()}});
  ASSERT_OK_AND_ASSIGN(CgroupStatistics got, ReadStatistics(cgroup));
  EXPECT_EQ(got.cpu_usec, 5000);
  EXPECT_EQ(got.cpu_user_usec, 30000) << "100 ticks a second";
  EXPECT_EQ(got.cpu_periods, 9);
  EXPECT_EQ(got.cpu_throttled_periods, 4);
  EXPECT_EQ(got.cpu_throttled_usec, 2000);
  EXPECT_EQ(got.memory_bytes, 1);
  EXPECT_EQ(got.memory_peak_bytes, 2);
  EXPECT_EQ(got.swap_bytes, 33);
  // Nobody counts these here.
  EXPECT_EQ(got.tasks, -1);
  EXPECT_THAT(got.io, IsEmpty());
  EXPECT_FALSE(got.memory_pressure.has_value());
}

TEST_F(StatisticsTest, OfAPodThatHasGone) {
  PodCgroup cgroup({{.v2 = true, .base = dir_ / "gone"}});
  EXPECT_THAT(ReadStatistics(cgroup), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace davit
