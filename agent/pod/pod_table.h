#ifndef DAVIT_AGENT_POD_POD_TABLE_H_
#define DAVIT_AGENT_POD_POD_TABLE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/live_pod.h"

namespace davit {

// All pods by id and by name. Thread-safe; its mutex is held briefly.
class PodTable {
 public:
  // Takes a name for a pod that is being made: of several that try at the same
  // time one succeeds. AlreadyExists names the pod that has it.
  absl::Status Reserve(const std::string& name, const std::string& id);
  void Unreserve(const std::string& name);

  // `pod`'s name must be reserved for it.
  void Insert(std::shared_ptr<LivePod> pod);
  // Frees the name as well.
  void Erase(const LivePod& pod);

  // By name, id, or unambiguous prefix (at least 4 characters) of an id.
  // NotFound; InvalidArgument if ambiguous.
  absl::StatusOr<std::shared_ptr<LivePod>> Find(
      const std::string& reference) const;
  bool Contains(const std::string& id) const;
  std::vector<std::shared_ptr<LivePod>> All() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, std::string> names_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<LivePod>> pods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_TABLE_H_
