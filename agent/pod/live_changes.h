#ifndef DAVIT_AGENT_POD_LIVE_CHANGES_H_
#define DAVIT_AGENT_POD_LIVE_CHANGES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"

// What is changed of a pod without a restart. The caller holds
// `pod.operation`.

namespace davit {

// PodService.UpdatePodResources. The pod may be in any state.
absl::Status ChangeResources(PodContext& context, LivePod& pod,
                             const std::string& app,
                             const ResourceRequirements& change);

// PodService.PausePod and UnpausePod, of a pod that is RUNNING.
absl::Status PausePod(LivePod& pod);
absl::Status UnpausePod(PodContext& context,
                        const std::shared_ptr<LivePod>& pod);

// Watches the apps of a pod that runs already.
absl::Status WatchAppsAgain(PodContext& context,
                            const std::shared_ptr<LivePod>& pod);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_LIVE_CHANGES_H_
