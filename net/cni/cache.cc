#include "net/cni/cache.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "net/list_directory.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/temporaries.h"
#include "runtime/base/unsynced_file.h"

namespace davit {
namespace {

constexpr absl::string_view kKind = "cniCacheV1";

// The names of the members are those of libcni's cachedInfo.
CniJson Encode(const CniCacheEntry& entry) {
  const CniAttachment& attachment = entry.attachment;
  CniJson json = CniJson::object();
  json["kind"] = std::string(kKind);
  json["containerId"] = attachment.container_id;
  json["config"] = absl::Base64Escape(entry.config);
  json["ifName"] = attachment.ifname;
  json["networkName"] = entry.network;
  if (!attachment.netns.empty()) json["netns"] = attachment.netns;
  for (const auto& [key, value] : attachment.args) {
    json["cniArgs"].push_back(CniJson::array({key, value}));
  }
  if (!attachment.capability_args.empty()) {
    json["capabilityArgs"] = attachment.capability_args;
  }
  if (entry.result.has_value()) json["result"] = *entry.result;
  return json;
}

absl::Status DecodeArgs(const CniJson& json, CniAttachment& attachment) {
  const CniJson* args = FindCniMember(json, "cniArgs");
  if (args == nullptr) return absl::OkStatus();
  absl::Status bad =
      absl::InvalidArgumentError("cniArgs is not a list of pairs of strings");
  if (!args->is_array()) return bad;
  for (const CniJson& pair : *args) {
    bool good = pair.is_array() && pair.size() == 2 && pair[0].is_string() &&
                pair[1].is_string();
    if (!good) return bad;
    attachment.args.emplace_back(pair[0].get<std::string>(),
                                 pair[1].get<std::string>());
  }
  return absl::OkStatus();
}

absl::StatusOr<CniCacheEntry> Decode(const std::string& text) {
  ASSIGN_OR_RETURN(CniJson json, ParseCniJson(text));
  ASSIGN_OR_RETURN(std::string kind, CniStringMember(json, "kind"));
  if (kind != kKind) {
    return absl::InvalidArgumentError(absl::StrCat("kind is not ", kKind));
  }
  CniCacheEntry entry;
  CniAttachment& attachment = entry.attachment;
  ASSIGN_OR_RETURN(entry.network, CniStringMember(json, "networkName"));
  ASSIGN_OR_RETURN(attachment.container_id,
                   CniStringMember(json, "containerId"));
  ASSIGN_OR_RETURN(attachment.ifname, CniStringMember(json, "ifName"));
  ASSIGN_OR_RETURN(attachment.netns, CniStringMember(json, "netns"));
  ASSIGN_OR_RETURN(std::string config, CniStringMember(json, "config"));
  if (!absl::Base64Unescape(config, &entry.config)) {
    return absl::InvalidArgumentError("config is not base64");
  }
  RETURN_IF_ERROR(DecodeArgs(json, attachment));
  if (const CniJson* values = FindCniMember(json, "capabilityArgs")) {
    attachment.capability_args = *values;
  }
  if (const CniJson* result = FindCniMember(json, "result")) {
    entry.result = *result;
  }
  return entry;
}

constexpr size_t kUuidLength = 36;

bool IsUuid(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(text[i])) return false;
  }
  return text.size() == kUuidLength;
}

// The parts of "<network>-<uuid>-<ifname>".
std::optional<CniCacheKey> KeyFromFileName(absl::string_view name) {
  for (size_t dash = name.find('-'); dash != absl::string_view::npos;
       dash = name.find('-', dash + 1)) {
    absl::string_view rest = name.substr(dash + 1);
    if (rest.size() <= kUuidLength + 1 || rest[kUuidLength] != '-') continue;
    if (!IsUuid(rest.substr(0, kUuidLength))) continue;
    return CniCacheKey{std::string(name.substr(0, dash)),
                       std::string(rest.substr(0, kUuidLength)),
                       std::string(rest.substr(kUuidLength + 1))};
  }
  return std::nullopt;
}

}  // namespace

absl::Status CniCache::Put(const CniCacheEntry& entry) const {
  RETURN_IF_ERROR(MakeDirectories(dir_, 0700));
  // An attachment ends with the machine, and a damaged entry is deleted with
  // today's configuration: no reason to wait for the disk, as libcni does not.
  return WriteFileUnsynced(Path(entry.network, entry.attachment.container_id,
                                entry.attachment.ifname),
                           DumpCniJson(Encode(entry)), 0600);
}

absl::StatusOr<CniCacheEntry> CniCache::Get(const std::string& network,
                                            const std::string& container_id,
                                            const std::string& ifname) const {
  std::string path = Path(network, container_id, ifname);
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  absl::StatusOr<CniCacheEntry> entry = Decode(text);
  if (!entry.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", entry.status().message()));
  }
  bool same = entry->network == network &&
              entry->attachment.container_id == container_id &&
              entry->attachment.ifname == ifname;
  if (!same) {
    return absl::DataLossError(
        absl::StrCat(path, ": is of network \"", entry->network,
                     "\", container \"", entry->attachment.container_id,
                     "\", interface \"", entry->attachment.ifname, "\""));
  }
  return entry;
}

absl::StatusOr<std::vector<CniCacheEntry>> CniCache::List(
    std::vector<CniCacheKey>* broken) const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(dir_));
  std::vector<CniCacheEntry> entries;
  for (const std::string& name : names) {
    absl::StatusOr<std::string> text = ReadFile(absl::StrCat(dir_, "/", name));
    if (absl::IsNotFound(text.status())) continue;  // removed meanwhile
    absl::StatusOr<CniCacheEntry> entry =
        text.ok() ? Decode(*text) : text.status();
    if (entry.ok()) {
      entries.push_back(*std::move(entry));
      continue;
    }
    std::optional<CniCacheKey> key = KeyFromFileName(name);
    if (broken != nullptr && key.has_value()) broken->push_back(*key);
  }
  return entries;
}

absl::Status CniCache::Remove(const std::string& network,
                              const std::string& container_id,
                              const std::string& ifname) const {
  return RemoveFile(Path(network, container_id, ifname));
}

std::string CniCache::Path(const std::string& network,
                           const std::string& container_id,
                           const std::string& ifname) const {
  return absl::StrCat(dir_, "/", network, "-", container_id, "-", ifname);
}

absl::Status CniCache::RemoveTemporaries() const {
  return davit::RemoveTemporaries(dir_);
}

}  // namespace davit
