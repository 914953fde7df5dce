#include "agent/rpc/convert.h"

#include <optional>

#include "absl/status/status.h"
#include "agent/rpc/convert_internal.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

void PressureToProto(const std::optional<Pressure>& from,
                     v1::PodPressure* (v1::PodUsage::*mutable_field)(),
                     v1::PodUsage& out) {
  if (!from) return;
  v1::PodPressure* to = (out.*mutable_field)();
  to->set_some_avg10(from->some.avg10);
  to->set_some_avg60(from->some.avg60);
  to->set_full_avg10(from->full.avg10);
  to->set_full_avg60(from->full.avg60);
  to->set_some_usec(from->some.total_usec);
  to->set_full_usec(from->full.total_usec);
}

}  // namespace

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
  using Usage = v1::PodUsage;
  Usage out;
  auto set = [&out](int64_t value, void (Usage::*setter)(int64_t)) {
    if (value >= 0) (out.*setter)(value);
  };
  set(usage.memory_bytes, &Usage::set_memory_bytes);
  set(usage.memory_peak_bytes, &Usage::set_memory_peak_bytes);
  set(usage.swap_bytes, &Usage::set_swap_bytes);
  set(usage.oom_kills, &Usage::set_oom_kills);
  set(usage.cpu_usec, &Usage::set_cpu_usec);
  set(usage.cpu_periods, &Usage::set_cpu_periods);
  set(usage.cpu_throttled_periods, &Usage::set_cpu_throttled_periods);
  set(usage.cpu_throttled_usec, &Usage::set_cpu_throttled_usec);
  set(usage.tasks, &Usage::set_tasks);
  PressureToProto(usage.cpu_pressure, &Usage::mutable_cpu_pressure, out);
  PressureToProto(usage.memory_pressure, &Usage::mutable_memory_pressure, out);
  PressureToProto(usage.io_pressure, &Usage::mutable_io_pressure, out);
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
