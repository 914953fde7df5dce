#ifndef DAVIT_AGENT_STORE_FILE_POD_STORE_H_
#define DAVIT_AGENT_STORE_FILE_POD_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/pod/pod_paths.h"
#include "agent/store/pod_store.h"

namespace davit {

// Records as files, in the tree that agent/pod/pod_paths.h draws: a pod comes
// into being by the rename of its directory from .new-<id>, changes by an
// atomic replacement of pod.json, and goes by a rename to trash/, where it is
// deleted. A pod.json that cannot be read is renamed to pod.json.broken. All
// steps are fsynced.
//
// Open makes the directories (0700) and deletes what a crash left in .new-* and
// trash/. `paths.root` must be absolute and belong to this agent alone.
absl::StatusOr<std::unique_ptr<PodStore>> OpenFilePodStore(
    const AgentPaths& paths);

}  // namespace davit

#endif  // DAVIT_AGENT_STORE_FILE_POD_STORE_H_
