#ifndef DAVIT_AGENT_POD_VOLUMES_H_
#define DAVIT_AGENT_POD_VOLUMES_H_

#include "absl/status/status.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"
#include "agent/pod/pod_manager.h"

// Volumes of pods that run: PodManager::Mount and Unmount. The caller holds
// `pod.operation`, and the pod is RUNNING.

namespace davit {

// Writes the record before the pod sees the mount: a crash between the two
// leaves a volume on the record that is not there, which Unmount takes away.
absl::Status MountVolume(PodContext& context, LivePod& pod, PodMount volume);

absl::Status UnmountVolume(PodContext& context, LivePod& pod,
                           const UnmountRequest& request);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_VOLUMES_H_
