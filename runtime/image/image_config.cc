#include "runtime/image/image_config.h"

#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/json_fields.h"

namespace davit {
namespace {

using nlohmann::json;

constexpr char kWhere[] = "image configuration";
constexpr char kConfig[] = "image configuration: config";

absl::StatusOr<std::vector<std::string>> ParsePorts(const json& config) {
  const json& ports = FieldOrNull(config, "ExposedPorts");
  std::vector<std::string> result;
  if (ports.is_null()) return result;
  if (!ports.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kConfig, ": \"ExposedPorts\" is ", ports.type_name(),
                     ", want an object"));
  }
  for (const auto& [port, unused] : ports.items()) result.push_back(port);
  return result;
}

absl::Status ParseConfig(const json& config, ImageConfig* result) {
  if (!config.is_null() && !config.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kConfig, " is ", config.type_name(), ", want an object"));
  }
  ASSIGN_OR_RETURN(result->entrypoint,
                   StringListField(config, "Entrypoint", kConfig));
  ASSIGN_OR_RETURN(result->cmd, StringListField(config, "Cmd", kConfig));
  ASSIGN_OR_RETURN(result->env, StringListField(config, "Env", kConfig));
  ASSIGN_OR_RETURN(result->working_dir,
                   StringField(config, "WorkingDir", kConfig));
  ASSIGN_OR_RETURN(result->user, StringField(config, "User", kConfig));
  ASSIGN_OR_RETURN(result->stop_signal,
                   StringField(config, "StopSignal", kConfig));
  ASSIGN_OR_RETURN(result->labels, StringMapField(config, "Labels", kConfig));
  ASSIGN_OR_RETURN(result->exposed_ports, ParsePorts(config));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageDocument> ParseImageDocument(absl::string_view text) {
  ASSIGN_OR_RETURN(json root, ParseJson(text, kWhere));
  if (!root.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kWhere, " is ", root.type_name(), ", want an object"));
  }
  ImageDocument document;
  RETURN_IF_ERROR(ParseConfig(FieldOrNull(root, "config"), &document.config));
  ASSIGN_OR_RETURN(document.config.architecture,
                   StringField(root, "architecture", kWhere));
  ASSIGN_OR_RETURN(document.config.os, StringField(root, "os", kWhere));
  ASSIGN_OR_RETURN(
      document.diff_ids,
      StringListField(FieldOrNull(root, "rootfs"), "diff_ids", kWhere));
  for (const std::string& diff_id : document.diff_ids) {
    RETURN_IF_ERROR(DigestHex(diff_id), absl::StrCat(kWhere, ": diff_ids"));
  }
  return document;
}

std::string FormatImageDocument(const ImageDocument& document) {
  const ImageConfig& from = document.config;
  json config = json::object();
  auto put = [&config](const char* key, const auto& value) {
    if (!value.empty()) config[key] = value;
  };
  put("Entrypoint", from.entrypoint);
  put("Cmd", from.cmd);
  put("Env", from.env);
  put("WorkingDir", from.working_dir);
  put("User", from.user);
  put("StopSignal", from.stop_signal);
  put("Labels", from.labels);
  for (const std::string& port : from.exposed_ports) {
    config["ExposedPorts"][port] = json::object();
  }
  return DumpJson(
      {{"architecture", from.architecture},
       {"os", from.os},
       {"config", std::move(config)},
       {"rootfs", {{"type", "layers"}, {"diff_ids", document.diff_ids}}}});
}

std::string MachineArchitecture() {
  utsname name;
  if (uname(&name) < 0) return "";
  std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (absl::StartsWith(machine, "armv")) return "arm";
  if (machine == "i686" || machine == "i386") return "386";
  return machine;  // riscv64, ppc64le, s390x: the same in both worlds
}

}  // namespace davit
