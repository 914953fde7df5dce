#ifndef DAVIT_AGENT_POD_RECONCILE_H_
#define DAVIT_AGENT_POD_RECONCILE_H_

#include <set>
#include <string>
#include <vector>

#include "agent/pod/pod_context.h"
#include "agent/pod/pod_manager.h"

namespace davit {

// Removes what exists on the host for pods that have no record, and names each
// thing in `report`. What is ours is known by one of: a directory in
// <root>/pods or in <state>/pods, a network namespace that our PodNetwork says
// it made. A cgroup alone is no proof: another agent may have the same parent
// cgroup; it is named under `failed` and left alone.
//
// `known` are the ids of all pods that have a record, broken or not; `strays`
// those of directories in <root>/pods without one.
void RemoveOwnerless(PodContext& context, const std::set<std::string>& known,
                     const std::vector<std::string>& strays,
                     RecoveryReport& report);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RECONCILE_H_
