#include "agent/pod/worker_pool.h"

#include <utility>

#include "absl/time/clock.h"

namespace davit {

void WorkerPool::Add(Task task) {
  absl::MutexLock lock(&mutex_);
  if (!stopped_) AddLocked(std::move(task));
}

void WorkerPool::AddLocked(Task task) {
  queue_.push_back(std::move(task));
  if (queue_.size() > idle_ && threads_.size() < max_threads_ + has_timer_) {
    threads_.emplace_back([this] { Run(); });
  }
}

void WorkerPool::AddAfter(absl::Duration delay, Task task) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return;
  delayed_.emplace(absl::Now() + delay, std::move(task));
  timer_changed_.Signal();
  if (has_timer_) return;
  has_timer_ = true;
  threads_.emplace_back([this] { RunTimer(); });
}

void WorkerPool::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    ++idle_;
    auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stopped_ || !queue_.empty();
    };
    mutex_.Await(absl::Condition(&wanted));
    --idle_;
    if (queue_.empty()) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    mutex_.Unlock();
    task();
    task = nullptr;  // what it holds must not die under the mutex
    mutex_.Lock();
    --running_;
  }
}

void WorkerPool::RunTimer() {
  absl::MutexLock lock(&mutex_);
  while (!stopped_) {
    if (delayed_.empty()) {
      timer_changed_.Wait(&mutex_);
      continue;
    }
    auto first = delayed_.begin();
    if (first->first > absl::Now()) {
      timer_changed_.WaitWithDeadline(&mutex_, first->first);
      continue;
    }
    Task task = std::move(first->second);
    delayed_.erase(first);
    AddLocked(std::move(task));
  }
}

void WorkerPool::StopAccepting() {
  std::deque<Task> dropped;
  std::multimap<absl::Time, Task> dropped_later;
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  dropped.swap(queue_);
  dropped_later.swap(delayed_);
  timer_changed_.Signal();
  // `lock` is released before the dropped tasks are destroyed.
}

bool WorkerPool::WaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return running_ == 0 && queue_.empty();
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&idle), timeout);
}

void WorkerPool::Shutdown() {
  StopAccepting();
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace davit
