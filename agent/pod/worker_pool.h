#ifndef DAVIT_AGENT_POD_WORKER_POOL_H_
#define DAVIT_AGENT_POD_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace davit {

// Threads for work that nobody waits for: ends of pods, retries. A thread is
// made when all are busy, up to `max_threads`; they live as long as the pool.
// Thread-safe; Add never blocks, so it may be called on event threads.
class WorkerPool {
 public:
  using Task = std::function<void()>;

  explicit WorkerPool(size_t max_threads) : max_threads_(max_threads) {}
  ~WorkerPool() { Shutdown(); }

  void Add(Task task);
  // Not before `delay` has passed.
  void AddAfter(absl::Duration delay, Task task);

  // Stops taking tasks and drops those that have not begun.
  void StopAccepting();
  // Waits until no task runs or waits (delayed ones do not count); false if
  // that takes longer than `timeout`.
  bool WaitIdle(absl::Duration timeout);
  // StopAccepting, then joins all threads. Not from a task.
  void Shutdown();

 private:
  void Run();
  void RunTimer();
  void AddLocked(Task task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_threads_;
  absl::Mutex mutex_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<absl::Time, Task> delayed_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  bool has_timer_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::CondVar timer_changed_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_WORKER_POOL_H_
