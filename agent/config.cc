#include "agent/config.h"

#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/version.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/version.h"

namespace davit {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kUnixPrefix = "unix://";

absl::Status BadFlag(absl::string_view flag, absl::string_view value,
                     absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " ", value.empty() ? "\"\"" : value, ": ", why));
}

// Flags as text, before they are checked.
struct RawFlags {
  std::string config_file, cni_timeout = "30s", ready_timeout = "60s";
  std::string log_level = "info", log_format = "text";
};

void AddFlags(CLI::App& app, AgentConfig& config, RawFlags& raw) {
  app.add_option("--config", raw.config_file,
                 "JSON file with these flags as keys; flags win");
  app.add_option("--root", config.root, "Keeps images, pods and leases")
      ->capture_default_str();
  app.add_option("--state", config.state, "Keeps what ends with a reboot")
      ->capture_default_str();
  app.add_option("--listen", config.listen,
                 "Address of the API [unix://<state>/davit.sock]");
  app.add_option("--metrics", config.metrics,
                 "host:port of /metrics; \"\" turns it off")
      ->capture_default_str();
  app.add_option("--libexec", config.libexec, "Has davit-shim, davit-app, cni/")
      ->capture_default_str();
  app.add_option("--cni-conf-dir", config.cni_conf_dir, "Has the networks")
      ->capture_default_str();
  app.add_option("--cni-bin-dir", config.cni_bin_dir,
                 "Has CNI plugins; may be repeated [<libexec>/cni]")
      ->allow_extra_args(false);
  app.add_option("--node-netns", config.node_netns,
                 "Pinned network namespace that stands for the machine");
  app.add_option("--netns-dir", config.netns_dir, "Has the pods' pins")
      ->capture_default_str();
  app.add_option("--seccomp-dir", config.seccomp_dir,
                 "Has the files of seccompProfile.localhostProfile")
      ->capture_default_str();
  app.add_option("--cgroup-parent", config.cgroup_parent,
                 "Directory for the pods below our own cgroup")
      ->capture_default_str();
  app.add_option("--stage1-image", config.stage1_image,
                 "Root image of pods that name none")
      ->capture_default_str();
  app.add_option("--default-host-users", config.default_host_users,
                 "hostUsers of pods that do not say it: true or false")
      ->capture_default_str();
  app.add_option("--cni-timeout", raw.cni_timeout, "Of one plugin call")
      ->capture_default_str();
  app.add_option("--ready-timeout", raw.ready_timeout,
                 "Of a pod's boot until its systemd is ready")
      ->capture_default_str();
  app.add_option("--log-level", raw.log_level, "debug, info, warning or error")
      ->capture_default_str();
  app.add_option("--log-format", raw.log_format, "text or json")
      ->capture_default_str();
  app.set_version_flag(
      "--version", absl::StrCat("davitd ", kDavitVersion, " ", GitCommit()));
}

absl::StatusOr<std::vector<std::string>> TextsOf(const Json& value) {
  if (value.is_string()) return {{value.get<std::string>()}};
  if (value.is_boolean()) return {{value.get<bool>() ? "true" : "false"}};
  std::vector<std::string> texts;
  bool good = value.is_array() && !value.empty();
  for (const Json& item : good ? value : Json::array()) {
    good = good && item.is_string();
    if (good) texts.push_back(item.get<std::string>());
  }
  if (!good) {
    return absl::InvalidArgumentError(
        "a string, or a list of strings where the flag may be repeated, is "
        "wanted");
  }
  return texts;
}

absl::Status ApplyKey(CLI::App& app, const std::string& key,
                      const Json& value) {
  CLI::Option* option = app.get_option_no_throw("--" + key);
  if (option == nullptr || key == "config" || key == "help" ||
      key == "version") {
    return absl::InvalidArgumentError("unknown key");
  }
  ASSIGN_OR_RETURN(std::vector<std::string> texts, TextsOf(value));
  bool repeatable = key == "cni-bin-dir";
  if (texts.size() > 1 && !repeatable) {
    return absl::InvalidArgumentError("one string is wanted");
  }
  if (option->count() > 0) return absl::OkStatus();  // the flag wins
  try {
    option->add_result(std::move(texts));
    option->run_callback();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

absl::Status ApplyFile(CLI::App& app, const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, 1 << 20));
  // Without exceptions; comments are allowed.
  Json json = Json::parse(text, nullptr, false, true);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  for (const auto& [key, value] : json.items()) {
    RETURN_IF_ERROR(ApplyKey(app, key, value), absl::StrCat("\"", key, "\""));
  }
  return absl::OkStatus();
}

absl::Status ParseDurationFlag(absl::string_view flag, const std::string& text,
                               absl::Duration& out) {
  if (!absl::ParseDuration(text, &out) || out <= absl::ZeroDuration() ||
      out > absl::Hours(1)) {
    return BadFlag(flag, text, "is not a duration like \"30s\", at most 1h");
  }
  return absl::OkStatus();
}

absl::Status ParseLogFlags(const RawFlags& raw, AgentConfig& config) {
  if (raw.log_level == "debug") {
    config.log_level = LogLevel::kDebug;
  } else if (raw.log_level == "warning") {
    config.log_level = LogLevel::kWarning;
  } else if (raw.log_level == "error") {
    config.log_level = LogLevel::kError;
  } else if (raw.log_level != "info") {
    return BadFlag("log-level", raw.log_level,
                   "one of debug, info, warning, error is wanted");
  }
  if (raw.log_format == "json") {
    config.log_format = LogFormat::kJson;
  } else if (raw.log_format != "text") {
    return BadFlag("log-format", raw.log_format, "one of text, json is wanted");
  }
  return absl::OkStatus();
}

absl::Status CheckPath(absl::string_view flag, const std::string& path) {
  if (absl::StartsWith(path, "/") && !absl::StrContains(path, '\0')) {
    return absl::OkStatus();
  }
  return BadFlag(flag, path, "is not an absolute path");
}

absl::Status CheckPaths(const AgentConfig& config) {
  RETURN_IF_ERROR(CheckPath("root", config.root));
  RETURN_IF_ERROR(CheckPath("state", config.state));
  RETURN_IF_ERROR(CheckPath("libexec", config.libexec));
  RETURN_IF_ERROR(CheckPath("cni-conf-dir", config.cni_conf_dir));
  for (const std::string& dir : config.cni_bin_dir) {
    RETURN_IF_ERROR(CheckPath("cni-bin-dir", dir));
  }
  if (!config.node_netns.empty()) {
    RETURN_IF_ERROR(CheckPath("node-netns", config.node_netns));
  }
  RETURN_IF_ERROR(CheckPath("seccomp-dir", config.seccomp_dir));
  return CheckPath("netns-dir", config.netns_dir);
}

absl::Status CheckListen(const std::string& listen) {
  if (absl::StartsWith(listen, "tcp:")) {
    return BadFlag("listen", listen,
                   "TCP needs mTLS, which this version does not have; use "
                   "unix://");
  }
  absl::string_view path = listen;
  if (!absl::ConsumePrefix(&path, kUnixPrefix) ||
      !absl::StartsWith(path, "/") || absl::EndsWith(path, "/")) {
    return BadFlag("listen", listen, "is not unix:///<absolute path>");
  }
  // unix(7): the path ends with a NUL inside sun_path.
  size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > longest) {
    return BadFlag("listen", listen,
                   absl::StrCat("the path is longer than ", longest, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckMetrics(const std::string& address) {
  if (address.empty()) return absl::OkStatus();
  size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535 || absl::StrContains(address, ',')) {
    return BadFlag("metrics", address, "is not host:port");
  }
  return absl::OkStatus();
}

absl::Status CheckCgroupParent(const std::string& parent) {
  if (parent.empty() || parent[0] == '.' || absl::StrContains(parent, '/')) {
    return BadFlag("cgroup-parent", parent, "is not a directory's name");
  }
  return absl::OkStatus();
}

absl::Status Check(const RawFlags& raw, AgentConfig& config) {
  RETURN_IF_ERROR(CheckPaths(config));
  RETURN_IF_ERROR(CheckListen(config.listen));
  RETURN_IF_ERROR(CheckMetrics(config.metrics));
  RETURN_IF_ERROR(CheckCgroupParent(config.cgroup_parent));
  RETURN_IF_ERROR(
      ParseDurationFlag("cni-timeout", raw.cni_timeout, config.cni_timeout));
  RETURN_IF_ERROR(ParseDurationFlag("ready-timeout", raw.ready_timeout,
                                    config.ready_timeout));
  if (config.stage1_image.empty()) {
    return BadFlag("stage1-image", "", "must not be empty");
  }
  return ParseLogFlags(raw, config);
}

void FillDefaults(AgentConfig& config) {
  if (config.listen.empty()) {
    config.listen = absl::StrCat(kUnixPrefix, config.state, "/davit.sock");
  }
  if (config.cni_bin_dir.empty()) {
    config.cni_bin_dir = {absl::StrCat(config.libexec, "/cni")};
  }
}

}  // namespace

std::string AgentConfig::socket_path() const {
  return std::string(absl::StripPrefix(listen, kUnixPrefix));
}

absl::StatusOr<CommandLine> ParseCommandLine(int argc,
                                             const char* const* argv) {
  CommandLine result;
  RawFlags raw;
  CLI::App app("Runs pods as real systemd containers.", "davitd");
  AddFlags(app, result.config, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.print = app.help();
    return result;
  } catch (const CLI::CallForVersion& version) {
    result.print = absl::StrCat(version.what(), "\n");
    return result;
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (!raw.config_file.empty()) {
    RETURN_IF_ERROR(ApplyFile(app, raw.config_file),
                    absl::StrCat("--config ", raw.config_file));
  }
  FillDefaults(result.config);
  RETURN_IF_ERROR(Check(raw, result.config));
  return result;
}

}  // namespace davit
