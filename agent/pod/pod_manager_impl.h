#ifndef DAVIT_AGENT_POD_POD_MANAGER_IMPL_H_
#define DAVIT_AGENT_POD_POD_MANAGER_IMPL_H_

#include <memory>

#include "agent/pod/pod_context.h"
#include "agent/pod/pod_manager.h"
#include "runtime/base/step_observer.h"

namespace davit {

// The real PodManager. Call Recover() first.
//
// `observer` (may be null; outlives the manager) hears of each phase of a start
// by the names of pod.proto's StartPhase ("image", "overlay", "netns",
// "cni_add", "cgroup", "clone", "mounts", "exec", "ready", "apps"), and of
// whole operations: "start", "stop", "remove".
std::unique_ptr<PodManager> NewPodManager(const PodManagerOptions& options,
                                          const PodManagerDeps& deps,
                                          StepObserver* observer);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_MANAGER_IMPL_H_
