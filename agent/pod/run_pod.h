#ifndef DAVIT_AGENT_POD_RUN_POD_H_
#define DAVIT_AGENT_POD_RUN_POD_H_

#include <memory>

#include "absl/status/status.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"

namespace davit {

// Starts a pod that is CREATED, EXITED or FAILED, step by step:
//
//   image    hold the images
//   overlay  mount the root and each app's; look up commands and users
//   netns    make and pin the network namespace       (not for the host's)
//   cni_add  join the networks                        (if there are any)
//   boot     shim, cgroup, clone, exec; then READY=1 of the pod's systemd
//   apps     start them all; then watch them, and RUNNING is written
//
// in this order on the host: overlay mount, unshare(CLONE_NEWNET) and pin,
// plugins, boot. Each step that leaves something on the host writes its intent
// first (intents.h). If one fails, all are undone backwards and the pod is
// FAILED; what could not be undone stays on the record.
//
// The caller holds `pod->operation`. Errors: those of StartPod in
// proto/davit/v1/pod_service.proto; Aborted if a StartInterrupt came.
absl::Status StartPod(PodContext& context, const std::shared_ptr<LivePod>& pod);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RUN_POD_H_
