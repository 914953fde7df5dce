#include "agent/rpc/convert.h"

#include "absl/status/status.h"
#include "agent/rpc/convert_internal.h"
#include "runtime/base/status_macros.h"

namespace davit {

google::protobuf::Timestamp TimeToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  out.set_seconds(absl::ToUnixSeconds(time));
  out.set_nanos(static_cast<int32_t>(
      (time - absl::FromUnixSeconds(out.seconds())) / absl::Nanoseconds(1)));
  return out;
}

absl::Time TimeFromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  absl::Duration rest;
  out.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  out.set_nanos(static_cast<int32_t>(
      absl::IDivDuration(rest, absl::Nanoseconds(1), &rest)));
  return out;
}

absl::Duration DurationFromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

v1::PodUsage ToProto(const PodUsage& usage) {
  v1::PodUsage out;
  if (usage.memory_bytes >= 0) out.set_memory_bytes(usage.memory_bytes);
  if (usage.memory_peak_bytes >= 0) {
    out.set_memory_peak_bytes(usage.memory_peak_bytes);
  }
  if (usage.cpu_usec >= 0) out.set_cpu_usec(usage.cpu_usec);
  if (usage.tasks >= 0) out.set_tasks(usage.tasks);
  return out;
}

v1::Pod ToProto(const Pod& pod) {
  v1::Pod out;
  out.set_api_version("v1");
  out.set_kind("Pod");
  v1::ObjectMeta* meta = out.mutable_metadata();
  meta->set_name(pod.spec.name);
  meta->set_namespace_("default");
  meta->set_uid(pod.id);
  meta->mutable_labels()->insert(pod.spec.labels.begin(),
                                 pod.spec.labels.end());
  meta->mutable_annotations()->insert(pod.spec.annotations.begin(),
                                      pod.spec.annotations.end());
  if (pod.created_at != absl::InfinitePast()) {
    *meta->mutable_creation_timestamp() = TimeToProto(pod.created_at);
  }
  SpecToProto(pod.spec, out.mutable_spec());
  StatusToProto(pod, out.mutable_status());
  return out;
}

absl::StatusOr<Pod> FromProto(const v1::Pod& pod) {
  Pod out;
  out.id = pod.metadata().uid();
  ASSIGN_OR_RETURN(out.spec, PodSpecFromProto(pod));
  out.created_at = pod.metadata().has_creation_timestamp()
                       ? TimeFromProto(pod.metadata().creation_timestamp())
                       : absl::InfinitePast();
  out.root_image_id = pod.status().root_image_id();
  RETURN_IF_ERROR(StatusFromProto(pod.status(), out.status));
  return out;
}

}  // namespace davit
