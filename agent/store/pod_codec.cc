#include "agent/store/pod_codec.h"

#include <google/protobuf/util/json_util.h>

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/rpc/convert.h"
#include "internal/state/v1/pod_record.pb.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

constexpr int kVersion = 1;

using internal::state::v1::PodRecord;

std::optional<IntentKind> IntentKindFromName(absl::string_view name) {
  for (IntentKind kind :
       {IntentKind::kUserns, IntentKind::kOverlay, IntentKind::kNetns,
        IntentKind::kNetwork, IntentKind::kBoot}) {
    if (name == IntentKindName(kind)) return kind;
  }
  return std::nullopt;
}

absl::Status Lost(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("pod record: ", what));
}

absl::StatusOr<std::vector<Intent>> DecodeIntents(const PodRecord& record) {
  std::vector<Intent> intents;
  for (const auto& from : record.intents()) {
    std::optional<IntentKind> kind = IntentKindFromName(from.kind());
    if (!kind) {
      return Lost(absl::StrCat("intents[", intents.size(),
                               "].kind: unknown word \"", from.kind(), "\""));
    }
    intents.push_back({*kind, TimeFromProto(from.time()), from.error()});
  }
  return intents;
}

// What Recover and a start rely on. The file may have met an editor.
absl::Status CheckPod(const Pod& pod) {
  if (!IsUuid(pod.id)) return Lost("pod.metadata.uid is no UUID");
  if (pod.spec.name.empty()) return Lost("pod.metadata.name is empty");
  if (pod.status.apps.size() != pod.spec.containers.size()) {
    return Lost("pod.status.containerStatuses do not match the spec's");
  }
  for (size_t i = 0; i < pod.status.apps.size(); ++i) {
    if (pod.status.apps[i].name != pod.spec.containers[i].name) {
      return Lost(absl::StrCat("pod.status.containerStatuses[", i,
                               "].name is not the container's"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PodRecord> Parse(absl::string_view text) {
  PodRecord record;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  auto status = google::protobuf::util::JsonStringToMessage(
      {text.data(), text.size()}, &record, options);
  if (!status.ok()) {
    return Lost(
        absl::string_view(status.message().data(), status.message().size()));
  }
  if (record.version() > kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod record: version ", record.version(),
                     " is newer than this agent's ", kVersion));
  }
  if (record.version() < 1) return Lost("version is missing");
  return record;
}

}  // namespace

absl::StatusOr<std::string> EncodePodRecord(const Pod& pod) {
  PodRecord record;
  record.set_version(kVersion);
  *record.mutable_pod() = ToProto(pod);
  record.set_root_image_id(pod.root_image_id);
  for (const AppState& app : pod.status.apps) {
    (*record.mutable_image_ids())[app.name] = app.image_id;
  }
  for (const Intent& intent : pod.intents) {
    auto* to = record.add_intents();
    to->set_kind(IntentKindName(intent.kind));
    *to->mutable_time() = TimeToProto(intent.time);
    to->set_error(intent.error);
  }
  record.set_stop_requested(pod.stop_requested);
  record.set_remove_requested(pod.remove_requested);

  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string text;
  auto status =
      google::protobuf::util::MessageToJsonString(record, &text, options);
  if (status.ok()) return text;
  return absl::InternalError(
      absl::StrCat("encode pod record: ", status.ToString()));
}

absl::StatusOr<Pod> DecodePodRecord(absl::string_view text) {
  absl::StatusOr<PodRecord> record = Parse(text);
  if (!record.ok()) return record.status();
  absl::StatusOr<Pod> pod = FromProto(record->pod());
  if (!pod.ok()) return Lost(absl::StrCat("pod.", pod.status().message()));
  pod->root_image_id = record->root_image_id();
  for (AppState& app : pod->status.apps) {
    auto it = record->image_ids().find(app.name);
    if (it != record->image_ids().end()) app.image_id = it->second;
  }
  absl::StatusOr<std::vector<Intent>> intents = DecodeIntents(*record);
  if (!intents.ok()) return intents.status();
  pod->intents = *std::move(intents);
  pod->stop_requested = record->stop_requested();
  pod->remove_requested = record->remove_requested();
  if (absl::Status status = CheckPod(*pod); !status.ok()) return status;
  return pod;
}

}  // namespace davit
