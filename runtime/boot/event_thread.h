#ifndef DAVIT_RUNTIME_BOOT_EVENT_THREAD_H_
#define DAVIT_RUNTIME_BOOT_EVENT_THREAD_H_

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/epoll.h"

namespace davit {

// One thread that waits on many descriptors. All functions that are given to it
// run on that thread, one after the other, and must not block. Thread-safe.
class EventThread {
 public:
  static absl::StatusOr<std::unique_ptr<EventThread>> Create();
  // Waits for what runs aside, runs what has been posted, then stops.
  ~EventThread();
  EventThread(const EventThread&) = delete;

  // Runs `work` soon.
  void Post(std::function<void()> work);
  // Runs `work` and returns when it is done; at once if this is the thread.
  void RunAndWait(const std::function<void()>& work);

  // Runs `work`, which may block, on a thread of its own that ends before this
  // object does. For what happens rarely: a pod's end.
  void RunAside(std::function<void()> work);

  // Only on the thread (in `work` or a callback).
  Epoll& epoll() { return epoll_; }

 private:
  EventThread(Epoll epoll, UniqueFd wake);
  void Loop();
  void RunPosted();

  Epoll epoll_;
  UniqueFd wake_;  // eventfd
  absl::Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  struct Aside {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> done;
  };
  std::vector<Aside> aside_ ABSL_GUARDED_BY(mutex_);
  bool stop_ = false;  // only on the thread
  std::thread thread_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_EVENT_THREAD_H_
