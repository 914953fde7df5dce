#include "net/cni/network_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// In ascending order.
constexpr std::array<absl::string_view, 7> kVersions = {
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

// The place of `version` in kVersions, or -1.
int VersionRank(absl::string_view version) {
  auto it = std::find(kVersions.begin(), kVersions.end(), version);
  return it == kVersions.end() ? -1 : static_cast<int>(it - kVersions.begin());
}

// The versions that the list names and we know, ascending; never empty.
absl::StatusOr<std::vector<std::string>> ReadVersions(const CniJson& list) {
  ASSIGN_OR_RETURN(std::string version, CniStringMember(list, "cniVersion"));
  ASSIGN_OR_RETURN(std::vector<std::string> named,
                   CniStringListMember(list, "cniVersions"));
  if (!version.empty()) named.push_back(version);
  if (named.empty()) named.emplace_back(kVersions.front());
  std::vector<std::string> versions;
  for (absl::string_view known : kVersions) {
    if (std::find(named.begin(), named.end(), known) != named.end()) {
      versions.emplace_back(known);
    }
  }
  if (!versions.empty()) return versions;
  return absl::InvalidArgumentError(absl::StrCat(
      "cniVersion \"", absl::StrJoin(named, "\", \""), "\" is not supported (",
      absl::StrJoin(kVersions, ", "), " are)"));
}

absl::Status ValidateCapabilities(const CniJson& plugin,
                                  const std::string& where) {
  const CniJson* capabilities = FindCniMember(plugin, "capabilities");
  if (capabilities == nullptr) return absl::OkStatus();
  bool good = capabilities->is_object() &&
              std::all_of(capabilities->begin(), capabilities->end(),
                          [](const CniJson& e) { return e.is_boolean(); });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ".capabilities does not map names to true or false"));
}

absl::StatusOr<CniPluginConfig> ParsePlugin(CniJson object,
                                            const std::string& where) {
  CniPluginConfig plugin;
  ASSIGN_OR_RETURN(plugin.type, CniStringMember(object, "type", where));
  if (plugin.type.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".type is missing"));
  }
  // It becomes a file name in the plugin directories.
  bool is_path = plugin.type.find('/') != std::string::npos ||
                 plugin.type.find('\0') != std::string::npos ||
                 plugin.type == "." || plugin.type == "..";
  if (is_path) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".type \"", absl::CHexEscape(plugin.type),
                     "\" is not a plain file name"));
  }
  RETURN_IF_ERROR(ValidateCapabilities(object, where));
  plugin.config = std::move(object);
  return plugin;
}

// The list that stands for a document that is a single plugin's configuration.
CniJson UpConvert(CniJson single) {
  CniJson list = CniJson::object();
  for (const char* key : {"cniVersion", "cniVersions", "name"}) {
    if (const CniJson* member = FindCniMember(single, key)) list[key] = *member;
  }
  list["plugins"] = CniJson::array({std::move(single)});
  return list;
}

// Puts what `more_plugins` finds at the end of `list`, and marks the list as
// whole, so that it can be kept and used without those files. True if it did.
absl::StatusOr<bool> Inline(const CniPluginLoader& more_plugins,
                            const std::string& name, CniJson& list) {
  ASSIGN_OR_RETURN(bool only_inlined,
                   CniBoolMember(list, "loadOnlyInlinedPlugins"));
  if (only_inlined || more_plugins == nullptr) return false;
  ASSIGN_OR_RETURN(std::vector<CniJson> more, more_plugins(name));
  if (more.empty()) return false;
  CniJson& plugins = list["plugins"];
  if (plugins.is_null()) plugins = CniJson::array();
  if (!plugins.is_array()) {
    return absl::InvalidArgumentError("plugins is not a list of objects");
  }
  for (CniJson& plugin : more) plugins.push_back(std::move(plugin));
  list["loadOnlyInlinedPlugins"] = true;
  return true;
}

absl::StatusOr<std::vector<CniPluginConfig>> ParsePlugins(const CniJson& list) {
  ASSIGN_OR_RETURN(std::vector<CniJson> objects,
                   CniObjectListMember(list, "plugins"));
  if (objects.empty()) {
    return absl::InvalidArgumentError("plugins is missing or empty");
  }
  std::vector<CniPluginConfig> plugins;
  for (size_t i = 0; i < objects.size(); ++i) {
    ASSIGN_OR_RETURN(
        CniPluginConfig plugin,
        ParsePlugin(std::move(objects[i]), absl::StrCat("plugins[", i, "]")));
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

}  // namespace

absl::StatusOr<CniNetworkConfig> ParseCniNetworkConfig(
    absl::string_view text, const CniPluginLoader& more_plugins) {
  ASSIGN_OR_RETURN(CniJson list, ParseCniJson(text));
  if (!list.is_object()) {
    return absl::InvalidArgumentError("the document is not an object");
  }
  bool single = FindCniMember(list, "plugins") == nullptr &&
                FindCniMember(list, "type") != nullptr;
  if (single) list = UpConvert(std::move(list));

  CniNetworkConfig config;
  ASSIGN_OR_RETURN(config.name, CniStringMember(list, "name"));
  if (config.name.empty()) return absl::InvalidArgumentError("name is missing");
  RETURN_IF_ERROR(ValidateCniIdentifier("name", config.name));
  ASSIGN_OR_RETURN(config.versions, ReadVersions(list));
  config.cni_version = config.versions.back();
  ASSIGN_OR_RETURN(config.disable_check, CniBoolMember(list, "disableCheck"));
  ASSIGN_OR_RETURN(config.disable_gc, CniBoolMember(list, "disableGC"));
  bool inlined = false;
  if (!single) {
    ASSIGN_OR_RETURN(inlined, Inline(more_plugins, config.name, list));
  }
  ASSIGN_OR_RETURN(config.plugins, ParsePlugins(list));
  config.text = single || inlined ? DumpCniJson(list) : std::string(text);
  return config;
}

bool CniVersionAtLeast(absl::string_view version, absl::string_view minimum) {
  return VersionRank(version) >= VersionRank(minimum);
}

bool IsKnownCniVersion(absl::string_view version) {
  return VersionRank(version) >= 0;
}

CniNetworkConfig WithCniVersion(const CniNetworkConfig& network,
                                absl::string_view version) {
  CniNetworkConfig changed = network;
  changed.cni_version = std::string(version);
  changed.versions = {changed.cni_version};
  CniJson list = ParseCniJson(network.text).value_or(CniJson::object());
  list["cniVersion"] = changed.cni_version;
  list.erase("cniVersions");
  changed.text = DumpCniJson(list);
  return changed;
}

bool CniHasCapability(const CniNetworkConfig& network, absl::string_view name) {
  return std::any_of(
      network.plugins.begin(), network.plugins.end(),
      [&](const CniPluginConfig& plugin) {
        const CniJson* declared = FindCniMember(plugin.config, "capabilities");
        const CniJson* wanted =
            declared == nullptr ? nullptr : FindCniMember(*declared, name);
        return wanted != nullptr && *wanted == true;
      });
}

bool IsCniArgsCapability(absl::string_view name) {
  return name == "ips" || name == "mac";
}

absl::Status ValidateCniIdentifier(absl::string_view what,
                                   absl::string_view value) {
  bool good =
      !value.empty() && absl::ascii_isalnum(value.front()) &&
      std::all_of(value.begin(), value.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
      });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " \"", absl::Utf8SafeCHexEscape(value),
                   "\" does not match [a-zA-Z0-9][a-zA-Z0-9_.-]*"));
}

absl::Status ValidateCniIfname(absl::string_view ifname) {
  bool good =
      !ifname.empty() && ifname.size() <= 15 && ifname != "." &&
      ifname != ".." &&
      std::none_of(ifname.begin(), ifname.end(), [](unsigned char c) {
        return c == '/' || c == ':' || c == '\0' || absl::ascii_isspace(c);
      });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ifname \"", absl::Utf8SafeCHexEscape(ifname),
                   "\" is not 1 to 15 bytes without '/', ':' and white space"));
}

}  // namespace davit
