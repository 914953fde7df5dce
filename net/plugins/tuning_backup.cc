#include "net/plugins/tuning_backup.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "net/plugins/json_object.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxBackupSize = 64 << 10;

absl::Status ReadFlag(const JsonObject& object, const char* key,
                      std::optional<bool>* out) {
  if (!object.Has(key)) return absl::OkStatus();
  *out = false;
  return object.Read(key, &**out);
}

absl::Status ReadNumber(const JsonObject& object, const char* key,
                        std::optional<uint32_t>* out) {
  std::optional<int64_t> number;
  RETURN_IF_ERROR(object.Read(key, &number));
  if (!number.has_value()) return absl::OkStatus();
  if (*number < 0 || *number > 0xffffffff) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": out of range"));
  }
  *out = static_cast<uint32_t>(*number);
  return absl::OkStatus();
}

}  // namespace

std::string TuningBackupPath(const std::string& data_dir,
                             const std::string& container_id,
                             const std::string& ifname) {
  return absl::StrCat(data_dir, "/", container_id, "_", ifname, ".json");
}

absl::Status WriteTuningBackup(const std::string& path,
                               const TuningConfig& config, const Link& link) {
  Json json = Json::object();
  if (config.mac) json["mac"] = link.mac.value_or(MacAddress()).ToString();
  if (config.promisc) json["promisc"] = link.promiscuous;
  if (config.mtu) json["mtu"] = link.mtu;
  if (config.all_multicast) json["allmulti"] = link.all_multicast;
  if (config.tx_queue_length) json["txQLen"] = link.tx_queue_length;
  RETURN_IF_ERROR(
      MakeDirectories(std::filesystem::path(path).parent_path(), 0700));
  return WriteFileAtomic(path, json.dump(1), 0600);
}

absl::StatusOr<LinkChange> ReadTuningBackup(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxBackupSize));
  ASSIGN_OR_RETURN(JsonObject object, JsonObject::Parse(text), path);
  LinkChange change;
  std::string mac;
  RETURN_IF_ERROR(object.Read("mac", &mac), path);
  if (!mac.empty()) {
    ASSIGN_OR_RETURN(change.mac, MacAddress::Parse(mac), path);
  }
  RETURN_IF_ERROR(ReadFlag(object, "promisc", &change.promiscuous), path);
  RETURN_IF_ERROR(ReadFlag(object, "allmulti", &change.all_multicast), path);
  RETURN_IF_ERROR(ReadNumber(object, "mtu", &change.mtu), path);
  RETURN_IF_ERROR(ReadNumber(object, "txQLen", &change.tx_queue_length), path);
  return change;
}

}  // namespace davit
