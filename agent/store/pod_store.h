#ifndef DAVIT_AGENT_STORE_POD_STORE_H_
#define DAVIT_AGENT_STORE_POD_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/pod/pod.h"

namespace davit {

// The records of all pods: what must be known after a crash. Thread-safe; the
// caller orders the calls for one pod.
class PodStore {
 public:
  virtual ~PodStore() = default;

  struct BrokenRecord {
    std::string id;
    std::string error;  // names the file
  };
  struct Contents {
    std::vector<Pod> pods;
    // Records that cannot be read. They are kept for a person to look at, and
    // listed by every Load; what belongs to them must be left alone.
    std::vector<BrokenRecord> broken;
    // Pods' directories without a record.
    std::vector<std::string> strays;  // ids
  };
  // Everything, each list in order of ids. A broken record stops no other.
  virtual absl::StatusOr<Contents> Load() = 0;

  // Adds a pod. AlreadyExists if its id is taken. Durable on return; after an
  // error nothing is left.
  virtual absl::Status Create(const Pod& pod) = 0;

  // Replaces the pod's record. NotFound if it was removed. Durable on return;
  // after an error or a crash the old or the new record is there, never a mix.
  virtual absl::Status Update(const Pod& pod) = 0;

  // Removes a record, broken or not, and all files of its pod. OK if there is
  // none. Nothing may be mounted below the pod's directory.
  virtual absl::Status Remove(const std::string& id) = 0;
};

}  // namespace davit

#endif  // DAVIT_AGENT_STORE_POD_STORE_H_
