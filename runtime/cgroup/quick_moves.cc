#include "runtime/cgroup/quick_moves.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Half of the shortest grace period that was seen.
constexpr absl::Duration kInterval = absl::Milliseconds(4);
constexpr absl::Duration kLongestHold = absl::Seconds(10);

}  // namespace

QuickMoves::Hold::Hold(QuickMoves* moves) : moves_(moves) {
  if (moves_ == nullptr) return;
  absl::MutexLock lock(&moves_->mutex_);
  ++moves_->holds_;
  moves_->until_ = absl::Now() + kLongestHold;
}

QuickMoves::Hold::~Hold() {
  if (moves_ == nullptr) return;
  absl::MutexLock lock(&moves_->mutex_);
  if (--moves_->holds_ == 0) moves_->failed_ = false;
}

QuickMoves::QuickMoves(std::function<absl::Status()> move)
    : move_(std::move(move)), thread_([this] { Run(); }) {}

QuickMoves::~QuickMoves() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

bool QuickMoves::Wanted() const {
  return holds_ > 0 && !failed_ && absl::Now() < until_;
}

void QuickMoves::Run() {
  auto wanted_or_ending = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return ending_ || Wanted();
  };
  auto unwanted_or_ending = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return ending_ || !Wanted();
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&wanted_or_ending));
    if (ending_) return;
    mutex_.Unlock();
    absl::Status moved = move_();
    mutex_.Lock();
    if (!moved.ok() && holds_ > 0) failed_ = true;
    mutex_.AwaitWithTimeout(absl::Condition(&unwanted_or_ending), kInterval);
  }
}

absl::StatusOr<std::unique_ptr<QuickMoves>> NewQuickMoves() {
  ASSIGN_OR_RETURN(std::vector<CgroupHierarchy> ours,
                   DiscoverCgroupHierarchies());
  return std::make_unique<QuickMoves>(
      [ours = std::move(ours)] { return MoveNowhere(ours); });
}

absl::Status MoveNowhere(const std::vector<CgroupHierarchy>& hierarchies) {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!hierarchy.v2) continue;
    // Only this thread, which the kernel refuses (EOPNOTSUPP) to move alone if
    // we are elsewhere by now.
    return WriteKernelFile(hierarchy.own_dir + "/cgroup.threads",
                           absl::StrCat(gettid()));
  }
  return absl::FailedPreconditionError("no cgroup v2 is mounted");
}

}  // namespace davit
