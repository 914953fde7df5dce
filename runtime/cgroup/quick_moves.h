#ifndef DAVIT_RUNTIME_CGROUP_QUICK_MOVES_H_
#define DAVIT_RUNTIME_CGROUP_QUICK_MOVES_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "runtime/cgroup/hierarchy.h"

namespace davit {

// Makes the moves of processes between cgroups quick while a pod starts or a
// machine stops: its systemd makes one for each program that it starts, and
// each waits for a grace period of RCU, some 8 ms, unless there was another one
// within the last few milliseconds (the kernel's cgroup_threadgroup_rwsem; what
// it trades is told in cgroup-v2.rst, favordynmods). So a thread makes one that
// changes nothing every few milliseconds for as long as somebody holds this.
// Where it cannot, starts are slower, and that is all.
//
// Thread-safe. Outlives its holds.
class QuickMoves {
 public:
  // A hold on `moves`, which may be null: then it does nothing. Counts for ten
  // seconds at most: a start that takes longer waits for something else.
  class Hold {
   public:
    explicit Hold(QuickMoves* moves);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    QuickMoves* const moves_;
  };

  // `move` is called by our thread; after an error not again before there was
  // no hold.
  explicit QuickMoves(std::function<absl::Status()> move);
  ~QuickMoves();
  QuickMoves(const QuickMoves&) = delete;
  QuickMoves& operator=(const QuickMoves&) = delete;

 private:
  void Run();
  bool Wanted() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::function<absl::Status()> move_;
  absl::Mutex mutex_;
  int holds_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time until_
      ABSL_GUARDED_BY(mutex_);  // when the last hold has no effect
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// By MoveNowhere, in our own cgroup of now.
absl::StatusOr<std::unique_ptr<QuickMoves>> NewQuickMoves();

// Moves the calling thread from its v2 cgroup, our own of `hierarchies`, to the
// same. FailedPrecondition if there is no v2.
absl::Status MoveNowhere(const std::vector<CgroupHierarchy>& hierarchies);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_QUICK_MOVES_H_
