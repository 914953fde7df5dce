#ifndef DAVIT_AGENT_POD_APP_STATE_H_
#define DAVIT_AGENT_POD_APP_STATE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "runtime/app/app.h"
#include "runtime/boot/launcher.h"

// What the statuses of apps mean for their pod. Pure.

namespace davit {

// Apps of a pod that has not been started (again): waiting, nothing known.
std::vector<AppState> NewAppStates(const PodSpec& spec,
                                   const std::vector<std::string>& image_ids);

// Takes over a new status. True if a run has ended that was not known to have
// ended: worth being made durable at once.
bool MergeAppStatus(const AppStatus& status, AppState& app);

// True if there are apps and none will be started again.
bool AllAppsDone(const std::vector<AppState>& apps);

// The pod has ended: apps whose end nobody saw are terminated with 137 and
// reason "ContainerStatusUnknown", as kubelet says it.
void MarkUnseenEnds(absl::Time at, std::vector<AppState>& apps);

// Why a pod is over, in one word: "Completed", "Error", "OOMKilled", or
// "Unknown" when nobody saw a machine's end. By the apps if it has some, else
// by its PID 1.
std::string EndReason(const PodStatus& status);

// How PID 1 ended, for people: "killed by signal 9", "exited with 3".
std::string DescribeExit(const PodExit& exit);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_APP_STATE_H_
