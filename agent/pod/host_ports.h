#ifndef DAVIT_AGENT_POD_HOST_PORTS_H_
#define DAVIT_AGENT_POD_HOST_PORTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/pod.h"

namespace davit {

// Which pod has which ports of the node. Two ports are at odds if protocol and
// number are the same and the addresses meet: the same one, or one of the two
// stands for all of its family (empty: of both). What programs outside of pods
// listen on is the plugin's to find out. Thread-safe.
class HostPortTable {
 public:
  // Takes all ports of the pod, or none: of several pods that try at the same
  // time one succeeds. FailedPrecondition names field, port and the pod that
  // has it. Again for the same pod: OK.
  absl::Status Claim(const Pod& pod);
  // OK if Claim would be for a pod that has none yet.
  absl::Status CheckFree(const PodSpec& spec) const;
  // Takes them whoever has them: for pods that run already.
  void Adopt(const Pod& pod);
  void Release(const std::string& pod_id);

 private:
  struct Claims {
    std::string pod_name;
    std::vector<HostPort> ports;
  };

  absl::Status CheckOthers(const std::string& pod_id,
                           const std::vector<HostPort>& wanted) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<std::string, Claims> claims_ ABSL_GUARDED_BY(mutex_);  // by pod id
};

// True if one socket could not listen on both.
bool PortsMeet(const HostPort& a, const HostPort& b);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_HOST_PORTS_H_
