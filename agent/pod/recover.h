#ifndef DAVIT_AGENT_POD_RECOVER_H_
#define DAVIT_AGENT_POD_RECOVER_H_

#include "absl/status/statusor.h"
#include "agent/pod/pod_context.h"
#include "agent/pod/pod_manager.h"

namespace davit {

// Makes the pods of an earlier agent process ours again, from their records and
// from what exists on the host. Call once, before any other operation.
//
//   record says         then
//   RUNNING             taken up and watched; EXITED if it ended meanwhile
//   STARTING            undone by its intents: FAILED, reason "AgentRestarted"
//   STOPPING            the stop is finished
//   remove_requested    the removal is finished
//   other               leftovers are undone; one that rebooted is started
//
// Then removes what belongs to no record: directories and mounts below
// <root>/pods, directories in <state>/pods, our network namespaces, and cgroups
// of pods that have such a directory. Pods with broken records, and what other
// agents and runtimes have, are left alone.
//
// Fails only if the records cannot be listed; single troubles are in the
// report.
absl::StatusOr<RecoveryReport> RecoverPods(PodContext& context);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RECOVER_H_
