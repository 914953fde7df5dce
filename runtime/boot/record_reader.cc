#include "runtime/boot/record_reader.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/shim_record.h"

namespace davit {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongestRecord = 64 << 10;

ProcessIdentity ParseProcess(const Json& json) {
  ProcessIdentity identity;
  json.at("pid").get_to(identity.pid);
  json.at("start_time").get_to(identity.start_time);
  return identity;
}

PodExit::Kind ParseKind(const std::string& name) {
  for (PodExit::Kind kind :
       {PodExit::Kind::kExited, PodExit::Kind::kPowerOff,
        PodExit::Kind::kReboot, PodExit::Kind::kSignaled}) {
    if (name == ExitKindName(kind)) return kind;
  }
  return PodExit::Kind::kUnknown;
}

// Reads the file and hands it to `parse`, which may throw as nlohmann::json
// does.
template <typename Result, typename Parse>
absl::StatusOr<Result> ReadJson(const std::string& path, Parse parse) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kLongestRecord));
  try {
    Json json = Json::parse(text);
    if (json.at("version").get<int>() != 1) {
      return absl::DataLossError(absl::StrCat(path, ": unknown version"));
    }
    return parse(json);
  } catch (const Json::exception& error) {
    return absl::DataLossError(absl::StrCat(path, ": ", error.what()));
  }
}

}  // namespace

absl::StatusOr<ShimState> ReadShimRecord(const std::string& path,
                                         const std::string& host_boot_id) {
  return ReadJson<ShimState>(
      path, [&](const Json& json) -> absl::StatusOr<ShimState> {
        if (json.at("boot_id").get<std::string>() != host_boot_id) {
          return absl::NotFoundError(
              absl::StrCat(path, " is of an earlier boot"));
        }
        ShimState state;
        state.shim = ParseProcess(json.at("shim"));
        state.init = ParseProcess(json.at("init"));
        for (const Json& phase : json.at("phases")) {
          state.phases.push_back(
              {phase.at("name").get<std::string>(),
               absl::FromUnixMicros(phase.at("at_usec").get<int64_t>())});
        }
        return state;
      });
}

absl::StatusOr<PodExit> ReadExitRecord(const std::string& path) {
  return ReadJson<PodExit>(
      path, [](const Json& json) -> absl::StatusOr<PodExit> {
        PodExit exit;
        exit.kind = ParseKind(json.at("kind").get<std::string>());
        json.at("code").get_to(exit.code);
        json.at("signal").get_to(exit.signal);
        json.at("oom_killed").get_to(exit.oom_killed);
        json.at("stop_requested").get_to(exit.stop_requested);
        exit.at = absl::FromUnixMicros(json.at("at_usec").get<int64_t>());
        return exit;
      });
}

}  // namespace davit
