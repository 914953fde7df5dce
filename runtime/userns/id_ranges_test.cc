#include "runtime/userns/id_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AnyOf;

class IdRangesTest : public ::testing::Test {
 protected:
  IdRanges::Options Options(int ranges) {
    return {.directory = dir_ / "ranges",
            .subuid = dir_ / "subuid",
            .subgid = dir_ / "subgid",
            .first = 0x80000,
            .last = 0x80000 + static_cast<uint32_t>(ranges - 1) * 65536};
  }
  std::string Owner(int i) {
    std::string owner = dir_ / absl::StrCat("pod", i);
    EXPECT_THAT(MakeDirectories(owner), IsOk());
    return owner;
  }
  TempDir dir_;
};

TEST_F(IdRangesTest, EachOwnerHasOneOfItsOwn) {
  IdRanges ranges(Options(3)), other_agent(Options(3));
  std::set<uint32_t> bases;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(uint32_t base,
                         (i % 2 ? ranges : other_agent).Take(Owner(i)));
    EXPECT_EQ(base % 65536, 0u);
    EXPECT_THAT(base, AnyOf(0x80000u, 0x90000u, 0xa0000u));
    bases.insert(base);
    EXPECT_EQ(*ranges.Take(Owner(i)), base);
  }
  EXPECT_EQ(bases.size(), 3u);
  EXPECT_THAT(ranges.Take(Owner(3)),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       ::testing::HasSubstr("all 3 ranges")));
  EXPECT_THAT(ranges.Free(Owner(1)), IsOk());
  EXPECT_THAT(ranges.Free(Owner(1)), IsOk());
  EXPECT_THAT(ranges.Take(Owner(3)), IsOk());
}

TEST_F(IdRangesTest, WhatADeadOwnerHadIsFree) {
  IdRanges ranges(Options(1));
  std::string owner = Owner(0);
  ASSERT_THAT(ranges.Take(owner), IsOk());
  EXPECT_THAT(ranges.Take(Owner(1)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_EQ(rmdir(owner.c_str()), 0);
  EXPECT_EQ(*ranges.Take(Owner(1)), 0x80000u);
}

TEST_F(IdRangesTest, WhatAKilledAgentHalfWroteGoesWithTheNextCall) {
  IdRanges ranges(Options(1));
  ASSERT_THAT(ranges.Take(Owner(0)), IsOk());
  const std::string half = dir_ / "ranges/.tmp-Xa4b0c";
  ASSERT_THAT(WriteFileAtomic(half, "half"), IsOk());
  EXPECT_THAT(ranges.Free(Owner(0)), IsOk());
  EXPECT_FALSE(PathExists(half));
}

TEST_F(IdRangesTest, SubordinateIdsOfPeopleAreLeftAlone) {
  // Overlaps the first range by its last id, and the third.
  ASSERT_THAT(WriteFileAtomic(dir_ / "subuid", "joe:589823:1\nbad\na:b:c\n"),
              IsOk());
  ASSERT_THAT(WriteFileAtomic(dir_ / "subgid", "joe:655370:10\n"), IsOk());
  IdRanges ranges(Options(3));
  EXPECT_EQ(*ranges.Take(Owner(0)), 0x90000u);
  EXPECT_THAT(ranges.Take(Owner(1)),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(IdRangesTest, ConcurrentAgentsDoNotCollide) {
  constexpr int kOwners = 40;
  std::vector<uint32_t> bases(kOwners);
  std::vector<std::thread> threads;
  for (int i = 0; i < kOwners; ++i) {
    std::string owner = Owner(i);
    threads.emplace_back([this, i, owner, &bases] {
      bases[i] = IdRanges(Options(kOwners)).Take(owner).value_or(0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<uint32_t>(bases.begin(), bases.end()).size(), kOwners);
  EXPECT_EQ(std::count(bases.begin(), bases.end(), 0u), 0);
}

}  // namespace
}  // namespace davit
