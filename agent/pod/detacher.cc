#include "agent/pod/detacher.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace davit {
namespace {

// Some times what a batch takes when no plugin hangs.
constexpr absl::Duration kPatience = absl::Milliseconds(250);

}  // namespace

absl::Status Detacher::Detach(const PodNetworkRequest& request) {
  Waiter self{&request, absl::OkStatus()};
  absl::MutexLock lock(&mutex_);
  waiting_.push_back(&self);
  // Whoever waits when a batch ends runs the next one, for all that wait then.
  auto my_turn = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return self.done || running_ == 0;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&my_turn), kPatience);
  // Not in the list any more: another has taken it into his batch.
  bool waits = std::count(waiting_.begin(), waiting_.end(), &self) > 0;
  if (waits) {
    RunBatch();
  } else {
    mutex_.Await(absl::Condition(&self.done));
  }
  return self.status;
}

void Detacher::RunBatch() {
  ++running_;
  std::vector<Waiter*> batch = std::exchange(waiting_, {});
  std::vector<PodNetworkRequest> requests;
  for (const Waiter* waiter : batch) requests.push_back(*waiter->request);
  mutex_.Unlock();
  std::vector<absl::Status> statuses = network_.DetachMany(requests);
  mutex_.Lock();
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i]->status = statuses[i];
    batch[i]->done = true;
  }
  --running_;
}

}  // namespace davit
