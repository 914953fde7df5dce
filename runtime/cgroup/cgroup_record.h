#ifndef DAVIT_RUNTIME_CGROUP_CGROUP_RECORD_H_
#define DAVIT_RUNTIME_CGROUP_CGROUP_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// A pod's cgroup directories as a JSON file (cgroups.json): the intent that is
// written before they are made, and the way back to them for a later agent.
absl::Status WriteCgroupRecord(const std::string& path,
                               const PodCgroup& cgroup);

// NotFound if there is none; DataLoss if it is damaged or names a directory
// that is not <mount point>/…/<pod_id>, or the pod's scope.
absl::StatusOr<PodCgroup> ReadCgroupRecord(const std::string& path,
                                           const std::string& pod_id);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_CGROUP_RECORD_H_
