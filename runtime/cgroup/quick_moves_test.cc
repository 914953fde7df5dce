#include "runtime/cgroup/quick_moves.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/time/clock.h"
#include "tests/support/slowdown.h"

namespace davit {
namespace {

using ::davit::testing::Patience;

// Moves that are counted.
class QuickMovesTest : public ::testing::Test {
 protected:
  // True once there were `more` since now.
  bool Moves(int more) {
    const int wanted = count_ + more;
    const absl::Time deadline = absl::Now() + Patience(absl::Seconds(10));
    while (count_ < wanted && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    return count_ >= wanted;
  }
  // True if there are none for some intervals, but for one under way.
  bool Rests() {
    absl::SleepFor(absl::Milliseconds(10));
    const int before = count_;
    absl::SleepFor(absl::Milliseconds(50));
    return count_ == before;
  }

  std::atomic<int> count_ = 0;
  std::atomic<bool> fails_ = false;
  QuickMoves moves_{[this] {
    ++count_;
    return fails_ ? absl::PermissionDeniedError("no") : absl::OkStatus();
  }};
};

TEST_F(QuickMovesTest, MovesWhileItIsHeld) {
  EXPECT_TRUE(Rests());
  {
    QuickMoves::Hold hold(&moves_);
    EXPECT_TRUE(Moves(5));
    {
      QuickMoves::Hold second(&moves_);
      EXPECT_TRUE(Moves(5));
    }
    EXPECT_TRUE(Moves(5));
  }
  EXPECT_TRUE(Rests());
  QuickMoves::Hold again(&moves_);
  EXPECT_TRUE(Moves(5));
}

TEST_F(QuickMovesTest, GivesUpUntilTheNextHold) {
  fails_ = true;
  {
    QuickMoves::Hold hold(&moves_);
    EXPECT_TRUE(Moves(1));
    EXPECT_TRUE(Rests());
    QuickMoves::Hold second(&moves_);
    EXPECT_TRUE(Rests());
  }
  fails_ = false;
  QuickMoves::Hold hold(&moves_);
  EXPECT_TRUE(Moves(5));
}

TEST(QuickMovesHoldTest, MayHoldNothing) { QuickMoves::Hold hold(nullptr); }

}  // namespace
}  // namespace davit
