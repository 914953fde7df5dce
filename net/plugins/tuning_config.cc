#include "net/plugins/tuning_config.h"

#include <regex.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "net/plugins/cni_args.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kSysctlRoot[] = "/proc/sys/";
constexpr char kNetSysctls[] = "/proc/sys/net/";
constexpr char kPlaceholder[] = "IFNAME";
constexpr int64_t kMaxMtu = 65535;
constexpr int64_t kMaxQueueLength = 0x7fffffff;

// A parsed document has no duplicates any more, so this reads the text again.
absl::Status RefuseDuplicates(const std::string& text) {
  std::set<std::string> keys;
  bool in_sysctl = false;
  std::string duplicate;
  auto visit = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event != Json::parse_event_t::key) return true;
    const std::string& key = parsed.get_ref<const std::string&>();
    if (depth == 1) in_sysctl = absl::EqualsIgnoreCase(key, "sysctl");
    if (depth == 2 && in_sysctl && !keys.insert(key).second) duplicate = key;
    return true;
  };
  // It has been parsed before, so this does not fail.
  const Json json = Json::parse(text, visit, /*allow_exceptions=*/false);
  if (json.is_discarded() || duplicate.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "sysctl.%s: duplicated sysctl keys are not allowed", duplicate));
}

absl::StatusOr<std::string> SysctlPath(const std::string& field,
                                       std::string key,
                                       const std::string& ifname) {
  // In this order, so that the interface's name may have dots.
  std::replace(key.begin(), key.end(), '.', '/');
  if (size_t at = key.find(kPlaceholder); at != std::string::npos) {
    key.replace(at, sizeof(kPlaceholder) - 1, ifname);
  }
  std::string path =
      std::filesystem::path(absl::StrCat(kSysctlRoot, key)).lexically_normal();
  if (!absl::StartsWith(path, kNetSysctls) || absl::EndsWith(path, "/") ||
      path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: invalid net sysctl key: \"%s\"", field, key));
  }
  return path;
}

absl::Status ReadSysctls(const JsonObject& object, const std::string& ifname,
                         std::vector<TuningSysctl>* sysctls) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> list, object.Object("sysctl"));
  if (!list.has_value()) return absl::OkStatus();
  for (const auto& [key, value] : list->json().items()) {
    const std::string field = list->PathOf(key);
    if (!value.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(field, ": want a string"));
    }
    ASSIGN_OR_RETURN(std::string path, SysctlPath(field, key, ifname));
    auto same =
        std::find_if(sysctls->begin(), sysctls->end(),
                     [&key = key](const auto& s) { return s.key == key; });
    if (same == sysctls->end()) {
      sysctls->push_back({key, path, value.get<std::string>()});
    } else {
      same->value = value.get<std::string>();
    }
  }
  return absl::OkStatus();
}

absl::Status ReadNumber(const JsonObject& object, const char* key, int64_t min,
                        int64_t max, std::optional<uint32_t>* out) {
  std::optional<int64_t> value;
  RETURN_IF_ERROR(object.Read(key, &value));
  if (!value.has_value()) return absl::OkStatus();
  if (*value < min || *value > max) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %d is not in %d..%d", object.PathOf(key), *value, min, max));
  }
  *out = static_cast<uint32_t>(*value);
  return absl::OkStatus();
}

// The keys that the configuration and args.cni share.
absl::Status ReadKeys(const JsonObject& object, const std::string& ifname,
                      TuningConfig* config) {
  RETURN_IF_ERROR(ReadSysctls(object, ifname, &config->sysctls));
  RETURN_IF_ERROR(object.Read("promisc", &config->promisc));
  RETURN_IF_ERROR(ReadNumber(object, "mtu", 0, kMaxMtu, &config->mtu));
  if (config->mtu == 0u) config->mtu.reset();  // as if it were not there
  if (object.Has("allmulti")) {
    config->all_multicast = false;
    RETURN_IF_ERROR(object.Read("allmulti", &*config->all_multicast));
  }
  return ReadNumber(object, "txQLen", 0, kMaxQueueLength,
                    &config->tx_queue_length);
}

// The last one wins.
absl::StatusOr<std::optional<MacAddress>> ReadMac(
    const PluginRequest& request, const std::optional<JsonObject>& args) {
  std::string text, field = "mac";
  RETURN_IF_ERROR(request.config.Read("mac", &text));
  ASSIGN_OR_RETURN(auto cni_args, ParseCniArgs(request.args));
  if (!cni_args["MAC"].empty()) {
    text = cni_args["MAC"];
    field = "ARGS: MAC";
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   request.config.Object("runtimeConfig"));
  for (const std::optional<JsonObject>& object : {runtime, args}) {
    std::string other;
    if (object.has_value()) RETURN_IF_ERROR(object->Read("mac", &other));
    if (other.empty()) continue;
    text = other;
    field = object->PathOf("mac");
  }
  std::optional<MacAddress> mac;
  if (!text.empty()) {
    ASSIGN_OR_RETURN(mac, MacAddress::Parse(text), field);
  }
  return mac;
}

// A regular expression in C's own form.
class Regex {
 public:
  explicit Regex(const std::string& pattern)
      : error_(regcomp(&regex_, pattern.c_str(), REG_EXTENDED | REG_NOSUB)) {}
  Regex(const Regex&) = delete;
  ~Regex() {
    if (ok()) regfree(&regex_);
  }
  bool ok() const { return error_ == 0; }
  bool Finds(const std::string& text) const {
    return regexec(&regex_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t regex_;
  int error_;
};

}  // namespace

absl::StatusOr<std::string> ParseTuningDataDir(const PluginRequest& request) {
  std::string data_dir;
  RETURN_IF_ERROR(request.config.Read("dataDir", &data_dir));
  return data_dir.empty() ? TuningConfig::kDefaultDataDir : data_dir;
}

absl::StatusOr<TuningConfig> ParseTuningConfig(const PluginRequest& request) {
  RETURN_IF_ERROR(RefuseDuplicates(request.stdin_data));
  TuningConfig config;
  RETURN_IF_ERROR(ReadKeys(request.config, request.ifname, &config));
  ASSIGN_OR_RETURN(std::optional<JsonObject> args,
                   request.config.Object("args"));
  if (args.has_value()) {
    ASSIGN_OR_RETURN(args, args->Object("cni"));
  }
  if (args.has_value()) {
    RETURN_IF_ERROR(ReadKeys(*args, request.ifname, &config));
  }
  ASSIGN_OR_RETURN(config.mac, ReadMac(request, args));
  return config;
}

absl::Status CheckTuningAllowlist(const TuningConfig& config,
                                  const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) {
    return absl::FailedPreconditionError(text.status().message());
  }
  std::set<std::string> allowed;
  std::vector<std::string> patterns;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    patterns.emplace_back(line);
    const Regex regex(patterns.back());
    if (!regex.ok()) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "%s: \"%s\" is not a regular expression", path, line));
    }
    for (const TuningSysctl& sysctl : config.sysctls) {
      if (regex.Finds(sysctl.key)) allowed.insert(sysctl.key);
    }
  }
  for (const TuningSysctl& sysctl : config.sysctls) {
    if (allowed.contains(sysctl.key)) continue;
    return absl::PermissionDeniedError(
        absl::StrFormat("sysctl.%s: not allowed by %s, which has: %s",
                        sysctl.key, path, absl::StrJoin(patterns, " ")));
  }
  return absl::OkStatus();
}

}  // namespace davit
