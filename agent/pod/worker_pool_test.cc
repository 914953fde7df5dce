#include "agent/pod/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace davit {
namespace {

TEST(WorkerPoolTest, RunsInParallelUpToItsLimit) {
  constexpr int kThreads = 4;
  WorkerPool pool(kThreads);
  absl::BlockingCounter done(kThreads);
  // Needs all four at the same time.
  auto* barrier = new absl::Barrier(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    pool.Add([&, barrier] {
      if (barrier->Block()) delete barrier;
      done.DecrementCount();
    });
  }
  done.Wait();
}

TEST(WorkerPoolTest, MoreTasksThanThreads) {
  WorkerPool pool(2);
  std::atomic<int> ran{0};
  for (int i = 0; i < 1000; ++i) pool.Add([&] { ++ran; });
  EXPECT_TRUE(pool.WaitIdle(absl::Seconds(30)));
  EXPECT_EQ(ran, 1000);
}

TEST(WorkerPoolTest, DelayedTasksComeInTheirOrder) {
  WorkerPool pool(1);
  absl::Mutex mutex;
  std::vector<int> order;
  auto note = [&](int number) {
    return [&, number] {
      absl::MutexLock lock(&mutex);
      order.push_back(number);
    };
  };
  absl::Time begun = absl::Now();
  pool.AddAfter(absl::Milliseconds(60), note(3));
  pool.AddAfter(absl::Milliseconds(30), note(2));
  pool.AddAfter(absl::ZeroDuration(), note(1));
  {
    absl::MutexLock lock(&mutex);
    auto all = [&] { return order.size() == 3; };
    ASSERT_TRUE(
        mutex.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(30)));
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  }
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(60));
}

TEST(WorkerPoolTest, ShutdownWaitsForTheRunningAndDropsTheRest) {
  absl::Notification begun, go_on;
  std::atomic<int> ran{0};
  auto pool = std::make_unique<WorkerPool>(1);
  pool->Add([&] {
    begun.Notify();
    go_on.WaitForNotification();
    ++ran;
  });
  begun.WaitForNotification();
  pool->Add([&] { ran += 100; });
  pool->AddAfter(absl::Hours(1), [&] { ran += 100; });
  pool->StopAccepting();
  pool->Add([&] { ran += 100; });
  EXPECT_FALSE(pool->WaitIdle(absl::Milliseconds(10)));
  go_on.Notify();
  pool.reset();
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace davit
