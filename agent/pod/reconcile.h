#ifndef DAVIT_AGENT_POD_RECONCILE_H_
#define DAVIT_AGENT_POD_RECONCILE_H_

#include <set>
#include <string>
#include <vector>

#include "agent/pod/pod_context.h"
#include "net/pod_network.h"

namespace davit {

// What is on record of pods, to compare the host with.
struct RecordedPods {
  // Ids of all pods that have a record, broken or not.
  std::set<std::string> known;
  // Ids of directories in <root>/pods without one.
  std::vector<std::string> strays;
};

// Finds what exists on the host for pods that have no record, removes it unless
// `dry_run`, and names each thing: processes with their cgroup, then network
// (PodNetwork::CollectGarbage), mounts and directories. What is ours is known
// by one of: a directory in <root>/pods or in <state>/pods, a network namespace
// that our PodNetwork says it made. A cgroup alone is no proof, another agent
// may have the same parent cgroup: it is named with an error and left alone.
//
// The caller holds `context.garbage`, or is the only one who makes pods.
std::vector<GarbageItem> RemoveOwnerless(PodContext& context,
                                         const RecordedPods& recorded,
                                         bool dry_run);

// RemoveOwnerless with what is on record now; takes `context.garbage`.
std::vector<GarbageItem> CollectGarbage(PodContext& context, bool dry_run);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RECONCILE_H_
