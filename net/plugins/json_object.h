#ifndef DAVIT_NET_PLUGINS_JSON_OBJECT_H_
#define DAVIT_NET_PLUGINS_JSON_OBJECT_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/netlink/ip_address.h"

namespace davit {

using Json = nlohmann::ordered_json;

// A read-only view of one JSON object that keeps its document alive. Keys are
// matched as Go's encoding/json matches them, since configurations in the wild
// rely on it: without regard to case, the last one wins, null is absent.
//
// The Read functions leave the output alone if the key is absent, and fail with
// InvalidArgument naming the path: "ipam.ranges[0][1].subnet: want a string".
class JsonObject {
 public:
  // InvalidArgument unless the text is one JSON object.
  static absl::StatusOr<JsonObject> Parse(absl::string_view text);

  bool Has(absl::string_view key) const { return Find(key) != nullptr; }

  absl::Status Read(absl::string_view key, std::string* out) const;
  absl::Status Read(absl::string_view key, bool* out) const;
  // Whole numbers only.
  absl::Status Read(absl::string_view key, std::optional<int64_t>* out) const;
  absl::Status Read(absl::string_view key, std::vector<std::string>* out) const;
  // Texts of addresses; an empty text is absent.
  absl::Status Read(absl::string_view key, std::optional<IpAddress>* out) const;
  absl::Status Read(absl::string_view key, std::optional<IpPrefix>* out) const;

  // The object at `key`, or nullopt if absent.
  absl::StatusOr<std::optional<JsonObject>> Object(absl::string_view key) const;
  // The objects of the array at `key`; none if absent.
  absl::StatusOr<std::vector<JsonObject>> Objects(absl::string_view key) const;
  // The same for an array of arrays of objects.
  absl::StatusOr<std::vector<std::vector<JsonObject>>> ObjectLists(
      absl::string_view key) const;

  // "ipam.ranges" for the key "ranges" of the object at "ipam".
  std::string PathOf(absl::string_view key) const;
  const Json& json() const { return *value_; }

 private:
  JsonObject(std::shared_ptr<const Json> document, const Json* value,
             std::string path)
      : document_(std::move(document)), value_(value), path_(std::move(path)) {}

  const Json* Find(absl::string_view key) const;
  absl::StatusOr<std::vector<JsonObject>> ElementsOf(
      const Json& array, const std::string& path) const;
  absl::StatusOr<JsonObject> Child(const Json& value, std::string path) const;

  std::shared_ptr<const Json> document_;
  const Json* value_;
  std::string path_;  // empty for the document's root
};

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_JSON_OBJECT_H_
