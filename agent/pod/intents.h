#ifndef DAVIT_AGENT_POD_INTENTS_H_
#define DAVIT_AGENT_POD_INTENTS_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod_context.h"

// Side effects of a pod on the host and how each is undone. The record lists
// one from before its deed until after its undo, so that whatever may exist is
// known after a crash. All undos are idempotent and work on what is half made.
// The caller holds `pod.operation`.

namespace davit {

// Writes the intents to the record, in the order of their deeds, which may
// follow if this is OK.
absl::Status BeginIntents(LivePod& pod, const std::vector<IntentKind>& kinds);

// Undoes it and takes it off the record; on failure it stays, with the error.
// OK if there is no such intent. Nothing else is undone while the pod's
// processes may be alive (intent "boot"): their address must not be given to
// another pod. FailedPrecondition then.
absl::Status UndoIntent(PodContext& context, LivePod& pod, IntentKind kind);

// A pod that was told to stop. Called on threads of their own.
struct PodEnd {
  // Waits until no process of the pod uses its network any more; false: it may.
  std::function<bool()> network_unused;
  // Waits for the end of it all, or gives up: then the undo of the boot kills.
  std::function<void()> await;
};

// Undoes all, whatever fails, in memory alone: the caller writes the record
// (SaveUndone), and after a crash in between they are undone again. First the
// processes (intent "boot"); then, side by side, each last first, the networks
// and the file systems. Joins the errors.
//
// With `end`, the pod is about to end by itself: the boot is undone when it
// has, and the networks do not wait for that.
absl::Status UndoAllIntents(PodContext& context, LivePod& pod,
                            const PodEnd* end = nullptr);

// Writes the record after undos. A failure is a problem, but no error: what is
// still listed is undone again.
void SaveUndone(PodContext& context, LivePod& pod);

// Frees the pod's ports of the node once nothing can use them any more.
void ReleaseHostPorts(PodContext& context, const LivePod& pod);

bool HasIntent(const Pod& pod, IntentKind kind);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_INTENTS_H_
