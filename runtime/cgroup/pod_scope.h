#ifndef DAVIT_RUNTIME_CGROUP_POD_SCOPE_H_
#define DAVIT_RUNTIME_CGROUP_POD_SCOPE_H_

#include <string>
#include <vector>

#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// Where the cgroups of a pod are on a host whose PID 1 is systemd, which owns
// the tree (CGROUP_DELEGATION): in a scope unit of the pod's own, in one slice
// for all pods of an agent. Pure; runtime/cgroup/host_systemd.h makes the unit.

// "davit-<pod id>.scope".
std::string PodScopeName(const std::string& pod_id);

// "<parent>.slice"; a dash in the name is a level: see systemd.slice(5).
std::string PodSliceName(const std::string& parent);

// The directory of a slice below the root of systemd's tree:
// "a-b.slice" is "a.slice/a-b.slice".
std::string SlicePath(const std::string& slice);

// The directories of a pod whose shim is in its scope already. `hierarchies`
// are the shim's own, so a v1 controller that systemd has not delegated shows
// another path and is skipped.
PodCgroup PlanInScope(const std::vector<CgroupHierarchy>& hierarchies,
                      const std::string& scope);

// The same from the hierarchies of PID 1, for a pod that nothing is known of
// any more: some of the directories may never have been there.
PodCgroup PredictInScope(const std::vector<CgroupHierarchy>& of_pid1,
                         const std::string& slice, const std::string& scope);

// Ids of the pods that have a scope in `slice`, sorted.
absl::StatusOr<std::vector<std::string>> ListPodScopes(
    const std::vector<CgroupHierarchy>& of_pid1, const std::string& slice);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_POD_SCOPE_H_
