#ifndef DAVIT_AGENT_POD_SPEC_NEEDS_H_
#define DAVIT_AGENT_POD_SPEC_NEEDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/pod/live_pod.h"
#include "agent/pod/pod.h"
#include "agent/pod/pod_context.h"

// What a pod's spec needs the node to have.

namespace davit {

// Holds the root image and those of the apps, by id where it is known. NotFound
// names the field, "spec.containers[0].image: …".
absl::StatusOr<PodImages> HoldImages(PodContext& context, const Pod& pod);

// OK if all networks of the spec are configured. NotFound names the first that
// is not, and those that are.
absl::Status CheckNetworks(PodContext& context, const PodSpec& spec);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_SPEC_NEEDS_H_
