#include "net/plugins/plugin_main.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/cni_version.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxIfnameLength = 15;
constexpr size_t kMaxConfigSize = 4 << 20;

// The parameters of one call, unchecked.
struct Environment {
  std::string command, container_id, netns, ifname, args, path, override_netns;
};

bool IsValidIdentifier(const std::string& text) {
  return !text.empty() && absl::ascii_isalnum(text[0]) &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

absl::Status InvalidEnvironment(absl::string_view message,
                                absl::string_view details = "") {
  return CniError(CniErrorCode::kInvalidEnvironment, message, details);
}

absl::Status CheckContainerId(const std::string& id) {
  if (IsValidIdentifier(id)) return absl::OkStatus();
  return InvalidEnvironment("invalid characters in containerID", id);
}

absl::Status CheckIfname(const std::string& name) {
  if (name.size() > kMaxIfnameLength) {
    return InvalidEnvironment(
        "interface name is too long",
        absl::StrFormat("interface name should be less than %d characters",
                        kMaxIfnameLength + 1));
  }
  if (name == "." || name == "..") {
    return InvalidEnvironment("interface name is . or ..");
  }
  for (unsigned char c : name) {
    if (c == '/' || c == ':' || absl::ascii_isspace(c)) {
      return InvalidEnvironment(
          "interface name contains / or : or whitespace characters");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEnvironment(const Environment& env) {
  const bool attachment =
      env.command == "ADD" || env.command == "DEL" || env.command == "CHECK";
  const bool any = attachment || env.command == "GC" || env.command == "STATUS";
  if (attachment && !env.container_id.empty()) {
    RETURN_IF_ERROR(CheckContainerId(env.container_id));
  }
  if (attachment && !env.ifname.empty()) {
    RETURN_IF_ERROR(CheckIfname(env.ifname));
  }
  std::vector<absl::string_view> missing;
  auto require = [&missing](bool needed, const std::string& value,
                            absl::string_view name) {
    if (needed && value.empty()) missing.push_back(name);
  };
  require(true, env.command, "CNI_COMMAND");
  require(attachment, env.container_id, "CNI_CONTAINERID");
  require(attachment && env.command != "DEL", env.netns, "CNI_NETNS");
  require(attachment, env.ifname, "CNI_IFNAME");
  require(any, env.path, "CNI_PATH");
  if (missing.empty()) return absl::OkStatus();
  return InvalidEnvironment(absl::StrFormat(
      "required env variables [%s] missing", absl::StrJoin(missing, ",")));
}

absl::StatusOr<JsonObject> ParseConfig(const std::string& text) {
  absl::StatusOr<JsonObject> config = JsonObject::Parse(text);
  std::string name;
  absl::Status status = config.status();
  if (status.ok()) status = config->Read("name", &name);
  if (!status.ok()) {
    return CniError(
        CniErrorCode::kDecodingFailure,
        absl::StrCat("error unmarshall network config: ", status.message()));
  }
  if (name.empty()) {
    return CniError(CniErrorCode::kInvalidNetworkConfig,
                    "missing network name");
  }
  if (!IsValidIdentifier(name)) {
    return CniError(CniErrorCode::kInvalidNetworkConfig,
                    "invalid characters found in network name", name);
  }
  return config;
}

// The oldest version whose configurations may have the command called.
const char* FirstVersionOf(const std::string& command) {
  if (command == "CHECK") return "0.4.0";
  if (command == "GC" || command == "STATUS") return "1.1.0";
  return kImplicitCniVersion;
}

std::vector<std::string> SupportedVersions(const Plugin& plugin) {
  std::vector<std::string> versions;
  for (const std::string& version : SupportedCniVersions()) {
    if (VersionAtLeast(version, plugin.first_version).value_or(false)) {
      versions.push_back(version);
    }
  }
  return versions;
}

absl::Status CheckVersion(const Plugin& plugin, const std::string& command,
                          const std::string& version) {
  absl::StatusOr<bool> allowed =
      VersionAtLeast(version, FirstVersionOf(command));
  if (allowed.ok() && !*allowed) {
    return CniError(
        CniErrorCode::kIncompatibleVersion,
        absl::StrFormat("config version does not allow %s", command));
  }
  const std::vector<std::string> supported = SupportedVersions(plugin);
  if (std::find(supported.begin(), supported.end(), version) !=
      supported.end()) {
    return absl::OkStatus();
  }
  return CniError(CniErrorCode::kIncompatibleVersion,
                  "incompatible CNI versions",
                  absl::StrFormat("config is \"%s\", plugin supports [\"%s\"]",
                                  version, absl::StrJoin(supported, "\" \"")));
}

// Nothing may be configured, or deleted, in the node's own namespace as if it
// were a container's.
absl::Status CheckNetns(const Environment& env) {
  if (absl::EqualsIgnoreCase(env.override_netns, "true") ||
      env.override_netns == "1") {
    return absl::OkStatus();
  }
  struct stat theirs, ours;
  if (stat(env.netns.c_str(), &theirs) < 0 ||
      stat("/proc/thread-self/ns/net", &ours) < 0 ||
      theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino) {
    return absl::OkStatus();
  }
  return CniError(
      CniErrorCode::kInvalidNetns,
      "plugin's netns and netns from CNI_NETNS should not be the same");
}

absl::StatusOr<PluginRequest> MakeRequest(const Environment& env,
                                          std::string stdin_data) {
  ASSIGN_OR_RETURN(JsonObject config, ParseConfig(stdin_data));
  PluginRequest request{
      env.command,    env.container_id,      env.ifname, env.netns, env.args,
      env.path,       std::move(stdin_data), config,
      /*network=*/"", /*cni_version=*/""};
  RETURN_IF_ERROR(config.Read("name", &request.network));
  absl::Status status = config.Read("cniVersion", &request.cni_version);
  if (!status.ok()) {
    return CniError(CniErrorCode::kDecodingFailure, status.message());
  }
  if (request.cni_version.empty()) request.cni_version = kImplicitCniVersion;
  return request;
}

absl::StatusOr<std::string> Dispatch(const Plugin& plugin,
                                     const PluginRequest& request) {
  auto run = [&request](absl::Status (*function)(
                 const PluginRequest&)) -> absl::StatusOr<std::string> {
    if (function != nullptr) RETURN_IF_ERROR(function(request));
    return std::string();
  };
  if (request.command == "ADD") return plugin.add(request);
  if (request.command == "DEL") return run(plugin.del);
  if (request.command == "CHECK") return run(plugin.check);
  if (request.command == "STATUS") return run(plugin.status);
  return run(plugin.gc);
}

absl::StatusOr<std::string> Execute(const Plugin& plugin,
                                    const Environment& env,
                                    const PluginInput& input) {
  RETURN_IF_ERROR(CheckEnvironment(env));
  absl::StatusOr<std::string> data = input.read_stdin();
  if (!data.ok()) {
    return CniError(
        CniErrorCode::kIoFailure,
        absl::StrCat("error reading from stdin: ", data.status().message()));
  }
  ASSIGN_OR_RETURN(PluginRequest request, MakeRequest(env, *std::move(data)));
  static constexpr absl::string_view kCommands[] = {"ADD", "DEL", "CHECK",
                                                    "STATUS", "GC"};
  if (std::find(std::begin(kCommands), std::end(kCommands), env.command) ==
      std::end(kCommands)) {
    return InvalidEnvironment(
        absl::StrCat("unknown CNI_COMMAND: ", env.command));
  }
  RETURN_IF_ERROR(CheckVersion(plugin, env.command, request.cni_version));
  if (plugin.uses_netns && (env.command == "ADD" || env.command == "DEL")) {
    RETURN_IF_ERROR(CheckNetns(env));
  }
  return Dispatch(plugin, request);
}

std::string FormatError(const absl::Status& status) {
  Json json = {{"code", CniCodeOf(status)},
               {"msg", std::string(status.message())}};
  std::string details = CniDetailsOf(status);
  if (!details.empty()) json["details"] = details;
  return json.dump(4, ' ', false, Json::error_handler_t::replace);
}

PluginOutput About(const Plugin& plugin) {
  return {0, "",
          absl::StrFormat("CNI %s plugin of davit\n"
                          "CNI protocol versions supported: %s\n",
                          plugin.type,
                          absl::StrJoin(SupportedVersions(plugin), ", "))};
}

PluginOutput Version(const Plugin& plugin) {
  Json json = {{"cniVersion", SupportedCniVersions().back()},
               {"supportedVersions", SupportedVersions(plugin)}};
  return {0, json.dump() + "\n", ""};
}

}  // namespace

PluginOutput RunPlugin(const Plugin& plugin, const PluginInput& input) {
  Environment env{
      input.getenv("CNI_COMMAND"),       input.getenv("CNI_CONTAINERID"),
      input.getenv("CNI_NETNS"),         input.getenv("CNI_IFNAME"),
      input.getenv("CNI_ARGS"),          input.getenv("CNI_PATH"),
      input.getenv("CNI_NETNS_OVERRIDE")};
  if (env.command.empty()) return About(plugin);
  // Runtimes ask for the version with dummies for all the rest.
  if (env.command == "VERSION") return Version(plugin);
  absl::StatusOr<std::string> result = Execute(plugin, env, input);
  if (!result.ok()) return {1, FormatError(result.status()), ""};
  return {0, *std::move(result), ""};
}

int PluginMain(const Plugin& plugin) {
  PluginInput input;
  input.getenv = [](const char* name) {
    const char* value = ::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  input.read_stdin = [] { return ReadAll(STDIN_FILENO, kMaxConfigSize); };
  PluginOutput output = RunPlugin(plugin, input);
  WriteAll(STDERR_FILENO, output.err).IgnoreError();
  if (!WriteAll(STDOUT_FILENO, output.out).ok()) return 1;
  return output.exit_code;
}

}  // namespace davit
