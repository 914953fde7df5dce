#ifndef DAVIT_AGENT_POD_END_POD_H_
#define DAVIT_AGENT_POD_END_POD_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"
#include "runtime/app/pod_apps.h"
#include "runtime/boot/launcher.h"

// Pods that change by themselves: their PID 1 ends, their apps end or restart.
// The layers below tell it on their event threads; the work is done on the
// manager's workers.

namespace davit {

// What to give to the launcher and to PodApps::Watch for one run of `pod`. Both
// return at once, and do nothing once the run is over.
PodListener ListenToRun(PodContext& context,
                        const std::shared_ptr<LivePod>& pod);
PodApps::StatusCallback ListenToApps(PodContext& context,
                                     const std::shared_ptr<LivePod>& pod);

// Takes in the statuses that wait in the pod's mailbox, makes ends durable, and
// stops the pod if none of its apps will run again. On a worker.
void HandleAppNews(PodContext& context, const std::shared_ptr<LivePod>& pod);

// PID 1 of a running pod is gone: records the exit, releases everything, leaves
// the pod EXITED. The caller holds `pod.operation`. Errors: an undo that failed
// and stays on the record.
absl::Status EndPod(PodContext& context, LivePod& pod, const PodExit& exit);

// The reason of an EXITED pod that rebooted and is to be started again.
inline constexpr char kRebooting[] = "Rebooting";

// Starts a pod again that EndPod has left "Rebooting", now or after a delay if
// it reboots in quick succession; on a worker. Does nothing for other pods.
void RestartIfRebooting(PodContext& context,
                        const std::shared_ptr<LivePod>& pod);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_END_POD_H_
