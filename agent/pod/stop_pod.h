#ifndef DAVIT_AGENT_POD_STOP_POD_H_
#define DAVIT_AGENT_POD_STOP_POD_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"

// The steps of a start backwards. Each function may be repeated at any point,
// by another agent process too. The caller holds `pod.operation`.

namespace davit {

struct StopRequest {
  std::optional<absl::Duration> grace;  // default: the spec's
  // Status.reason of the ended pod; empty: what its apps or PID 1 say.
  std::string reason;
};

// Leaves a pod without processes, network, mounts and cgroups:
//   apps stopped in parallel, each with the grace; their last statuses
//   recorded; the pod's systemd shut down, killed after the grace; then all
//   intents undone.
// RUNNING → STOPPING → EXITED. In other states only what is left over is
// undone. Errors: undos that failed. They stay on the record; the pod stays
// STOPPING if its processes may be alive.
absl::Status StopPod(PodContext& context, LivePod& pod,
                     const StopRequest& request);

// StopPod, then removes the pod's files, record and name, and lets go of its
// images. On error the pod and its record stay, marked for removal.
absl::Status RemovePod(PodContext& context, LivePod& pod,
                       std::optional<absl::Duration> grace);

// To be called after every operation: if it left something undone, tries again
// after the retry interval, on a worker, until all is well.
void RetryIfNeeded(PodContext& context, const std::shared_ptr<LivePod>& pod);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_STOP_POD_H_
