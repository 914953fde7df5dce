#include "agent/pod/pod_events.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {

// A place in the log; the log itself is the queue.
class EventSubscription : public PodSubscription {
 public:
  EventSubscription(std::shared_ptr<PodEvents> events, uint64_t sequence)
      : events_(std::move(events)), sequence_(sequence) {}

  absl::StatusOr<PodEvent> Next(absl::Duration timeout) override {
    ASSIGN_OR_RETURN(PodEvent event, events_->WaitAfter(sequence_, timeout));
    sequence_ = event.sequence;
    return event;
  }

 private:
  std::shared_ptr<PodEvents> events_;
  uint64_t sequence_;
};

void PodEvents::Publish(PodEvent::Type type, std::shared_ptr<const Pod> pod) {
  absl::MutexLock lock(&mutex_);
  if (type == PodEvent::Type::kDeleted) {
    pods_.erase(pod->id);
  } else {
    pods_[pod->id] = pod;
  }
  events_.push_back({type, std::move(pod)});
  ++last_;
  if (events_.size() > capacity_) events_.pop_front();
}

void PodEvents::Refresh(std::shared_ptr<const Pod> pod) {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod->id);
  if (it != pods_.end()) it->second = std::move(pod);
}

PodList PodEvents::List() const {
  std::vector<std::shared_ptr<const Pod>> pods;
  PodList list;
  {
    absl::MutexLock lock(&mutex_);
    list.sequence = last_;
    for (const auto& [id, pod] : pods_) pods.push_back(pod);
  }
  std::sort(pods.begin(), pods.end(), [](const auto& a, const auto& b) {
    return a->spec.name < b->spec.name;
  });
  for (const auto& pod : pods) list.pods.push_back(*pod);
  return list;
}

std::shared_ptr<const Pod> PodEvents::Find(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(id);
  return it != pods_.end() ? it->second : nullptr;
}

absl::StatusOr<std::unique_ptr<PodSubscription>> PodEvents::Subscribe(
    uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (shut_down_) return absl::UnavailableError("the agent is draining");
  if (sequence > last_ || sequence + 1 < oldest()) {
    return absl::OutOfRangeError(absl::StrCat("events after ", sequence,
                                              " are not kept: there are ",
                                              oldest(), " to ", last_));
  }
  return std::make_unique<EventSubscription>(shared_from_this(), sequence);
}

absl::StatusOr<PodEvent> PodEvents::WaitAfter(uint64_t sequence,
                                              absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto ready = [this, sequence]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return shut_down_ || last_ > sequence;
  };
  bool in_time = mutex_.AwaitWithTimeout(absl::Condition(&ready), timeout);
  if (shut_down_) return absl::UnavailableError("the agent is draining");
  if (!in_time) {
    return absl::DeadlineExceededError(
        absl::StrCat("no event in ", absl::FormatDuration(timeout)));
  }
  if (sequence + 1 < oldest()) {
    return absl::OutOfRangeError(absl::StrCat(
        "too slow: events ", sequence + 1, " to ", oldest() - 1, " are lost"));
  }
  const Entry& entry = events_[sequence + 1 - oldest()];
  return PodEvent{entry.type, *entry.pod, sequence + 1};
}

void PodEvents::Shutdown() {
  absl::MutexLock lock(&mutex_);
  shut_down_ = true;
}

}  // namespace davit
