#ifndef DAVIT_AGENT_RPC_VALIDATE_H_
#define DAVIT_AGENT_RPC_VALIDATE_H_

#include "absl/status/status.h"
#include "agent/pod/pod.h"

namespace davit {

// Checks everything about a pod's spec that can be told without looking at the
// node: names (DNS-1123, RFC 1123 section 2.1), duplicates, contradictions and
// bounds, by the rules of Kubernetes where it has the field. The first fault is
// InvalidArgument; its message starts with the field's path as in the manifest,
// "spec.containers[0].name: …". `spec` comes from PodSpecFromProto.
absl::Status ValidatePodSpec(const PodSpec& spec);

// A volume for a running pod; faults name the request's field ("target: …").
absl::Status ValidateVolume(const PodMount& volume);

// The target alone.
absl::Status ValidateVolumeTarget(const std::string& target);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_VALIDATE_H_
