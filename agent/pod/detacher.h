#ifndef DAVIT_AGENT_POD_DETACHER_H_
#define DAVIT_AGENT_POD_DETACHER_H_

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "net/pod_network.h"

namespace davit {

// Detaches pods from their networks, together with those that wait for the same
// at that time: the kernel's waits for each batch are those of one pod
// (PodNetwork::DetachMany). A call that finds no batch under way does not wait
// for company, and none waits long for a batch that hangs: then it begins the
// next. Thread-safe.
class Detacher {
 public:
  // `network` outlives it.
  explicit Detacher(PodNetwork* network) : network_(*network) {}

  // PodNetwork::Detach. No two calls at a time for one pod.
  absl::Status Detach(const PodNetworkRequest& request);

 private:
  struct Waiter {
    const PodNetworkRequest* request;
    absl::Status status;
    bool done = false;
  };

  void RunBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  PodNetwork& network_;
  absl::Mutex mutex_;
  std::vector<Waiter*> waiting_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // batches under way
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_DETACHER_H_
