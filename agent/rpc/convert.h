#ifndef DAVIT_AGENT_RPC_CONVERT_H_
#define DAVIT_AGENT_RPC_CONVERT_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "davit/v1/pod.pb.h"

// The border between the API's messages (proto/davit/v1/pod.proto) and the
// agent's values. Pure functions; all errors are InvalidArgument and start with
// the field's path as it is written in JSON, "spec.restartPolicy: …".

namespace davit {

// The whole pod. What nobody stores is computed here: phase, conditions, podIP,
// podIPs, port maps, each app's `ready`, and leftovers (from the intents that
// have an error). `usage` stays unset: it is measured, not kept.
v1::Pod ToProto(const Pod& pod);

// The inverse: restores all that ToProto wrote and did not compute. Not in the
// message, and so at their defaults: intents, stop_requested, remove_requested,
// init.start_time, apps' main_pid, interfaces' sandboxes. Fit for records on
// disk; does not validate the spec.
absl::StatusOr<Pod> FromProto(const v1::Pod& pod);

// What a request asks for: metadata and spec with defaults filled in (hostname,
// protocols, …); `status`, `metadata.uid` and `metadata.creationTimestamp` are
// ignored. Checks what a PodSpec cannot hold (unknown words, foreign kinds and
// namespaces); the rest is ValidatePodSpec's.
absl::StatusOr<PodSpec> PodSpecFromProto(const v1::Pod& pod);

ResourceRequirements ResourcesFromProto(const v1::ResourceRequirements& from);

// Resources; what cannot be told (-1) is unset.
v1::PodUsage ToProto(const PodUsage& usage);

// For finite times; an infinite one is a message that is not set at all.
google::protobuf::Timestamp TimeToProto(absl::Time time);
absl::Time TimeFromProto(const google::protobuf::Timestamp& time);
google::protobuf::Duration DurationToProto(absl::Duration duration);
absl::Duration DurationFromProto(const google::protobuf::Duration& duration);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_CONVERT_H_
