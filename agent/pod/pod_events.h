#ifndef DAVIT_AGENT_POD_POD_EVENTS_H_
#define DAVIT_AGENT_POD_POD_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "agent/pod/pod_manager.h"

namespace davit {

// What readers see of all pods: the latest value of each, and the last changes
// in order. Readers never wait for an operation on a pod. Thread-safe; its
// mutex is held for copies of pointers only.
class PodEvents : public std::enable_shared_from_this<PodEvents> {
 public:
  // Keeps the last `capacity` events.
  explicit PodEvents(size_t capacity) : capacity_(capacity) {}

  // Records a change: the pod's value is `pod` from now on (kDeleted: it is
  // gone). The caller orders the changes of one pod.
  void Publish(PodEvent::Type type, std::shared_ptr<const Pod> pod);
  // Replaces the pod's value without an event.
  void Refresh(std::shared_ptr<const Pod> pod);

  // Ordered by name.
  PodList List() const;
  // Null if there is none.
  std::shared_ptr<const Pod> Find(const std::string& id) const;

  // See PodManager::Subscribe. Subscriptions may outlive this object's owner.
  absl::StatusOr<std::unique_ptr<PodSubscription>> Subscribe(uint64_t sequence);

  // Wakes all subscribers with Unavailable, and all that come later.
  void Shutdown();

 private:
  friend class EventSubscription;
  struct Entry {
    PodEvent::Type type;
    std::shared_ptr<const Pod> pod;
  };

  // The event after `sequence`, for subscriptions.
  absl::StatusOr<PodEvent> WaitAfter(uint64_t sequence, absl::Duration timeout);
  uint64_t oldest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return last_ - events_.size() + 1;
  }

  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Pod>> pods_
      ABSL_GUARDED_BY(mutex_);
  std::deque<Entry> events_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;  // sequence of events_.back()
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_EVENTS_H_
