#ifndef DAVIT_AGENT_STORE_FAKE_POD_STORE_H_
#define DAVIT_AGENT_STORE_FAKE_POD_STORE_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/store/pod_store.h"

namespace davit {

// Records in memory; they outlive the managers of a test, as a disk does.
class FakePodStore : public PodStore {
 public:
  absl::StatusOr<Contents> Load() override;
  absl::Status Create(const Pod& pod) override;
  absl::Status Update(const Pod& pod) override;
  absl::Status Remove(const std::string& id) override;

  // Asked before each write and removal; an error is returned instead.
  void FailWritesIf(std::function<absl::Status(const Pod&)> hook);
  // A record that cannot be read; a directory without record.
  void AddBroken(const std::string& id);
  void AddStray(const std::string& id);

  std::vector<Pod> pods() const;  // as on disk
  // Every record ever written, in order.
  std::vector<Pod> history() const;

 private:
  absl::Status Write(const Pod& pod) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> broken_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> strays_ ABSL_GUARDED_BY(mutex_);
  std::vector<Pod> history_ ABSL_GUARDED_BY(mutex_);
  std::function<absl::Status(const Pod&)> hook_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_AGENT_STORE_FAKE_POD_STORE_H_
