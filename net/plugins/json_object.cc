#include "net/plugins/json_object.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status Unexpected(const std::string& path, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": want ", wanted));
}

// Parses the text at `key` with T::Parse.
template <typename T>
absl::Status ReadParsed(const JsonObject& object, absl::string_view key,
                        std::optional<T>* out) {
  std::string text;
  RETURN_IF_ERROR(object.Read(key, &text));
  if (text.empty()) return absl::OkStatus();
  absl::StatusOr<T> parsed = T::Parse(text);
  if (!parsed.ok()) return Annotate(parsed.status(), object.PathOf(key));
  *out = *parsed;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JsonObject> JsonObject::Parse(absl::string_view text) {
  auto document = std::make_shared<Json>();
  try {
    *document = Json::parse(text.begin(), text.end());
  } catch (const Json::exception& e) {
    return absl::InvalidArgumentError(e.what());
  }
  if (!document->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("want a JSON object, not ", document->type_name()));
  }
  const Json* root = document.get();
  return JsonObject(std::move(document), root, "");
}

std::string JsonObject::PathOf(absl::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

const Json* JsonObject::Find(absl::string_view key) const {
  const Json* found = nullptr;
  for (const auto& [name, value] : value_->get_ref<const Json::object_t&>()) {
    if (absl::EqualsIgnoreCase(name, key)) found = &value;
  }
  return found == nullptr || found->is_null() ? nullptr : found;
}

absl::Status JsonObject::Read(absl::string_view key, std::string* out) const {
  const Json* value = Find(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return Unexpected(PathOf(key), "a string");
  *out = value->get_ref<const std::string&>();
  return absl::OkStatus();
}

absl::Status JsonObject::Read(absl::string_view key, bool* out) const {
  const Json* value = Find(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_boolean()) return Unexpected(PathOf(key), "true or false");
  *out = value->get<bool>();
  return absl::OkStatus();
}

absl::Status JsonObject::Read(absl::string_view key,
                              std::optional<int64_t>* out) const {
  const Json* value = Find(key);
  if (value == nullptr) return absl::OkStatus();
  bool fits = value->is_number_integer() &&
              (!value->is_number_unsigned() ||
               value->get<uint64_t>() <=
                   static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  if (!fits) return Unexpected(PathOf(key), "a whole number");
  *out = value->get<int64_t>();
  return absl::OkStatus();
}

absl::Status JsonObject::Read(absl::string_view key,
                              std::vector<std::string>* out) const {
  const Json* value = Find(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_array()) return Unexpected(PathOf(key), "a list of strings");
  std::vector<std::string> strings;
  for (const Json& element : *value) {
    if (!element.is_string()) {
      return Unexpected(absl::StrCat(PathOf(key), "[", strings.size(), "]"),
                        "a string");
    }
    strings.push_back(element.get_ref<const std::string&>());
  }
  *out = std::move(strings);
  return absl::OkStatus();
}

absl::Status JsonObject::Read(absl::string_view key,
                              std::optional<IpAddress>* out) const {
  return ReadParsed(*this, key, out);
}

absl::Status JsonObject::Read(absl::string_view key,
                              std::optional<IpPrefix>* out) const {
  return ReadParsed(*this, key, out);
}

absl::StatusOr<JsonObject> JsonObject::Child(const Json& value,
                                             std::string path) const {
  if (!value.is_object()) return Unexpected(path, "an object");
  return JsonObject(document_, &value, std::move(path));
}

absl::StatusOr<std::optional<JsonObject>> JsonObject::Object(
    absl::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::optional<JsonObject>();
  ASSIGN_OR_RETURN(JsonObject child, Child(*value, PathOf(key)));
  return std::optional<JsonObject>(std::move(child));
}

absl::StatusOr<std::vector<JsonObject>> JsonObject::ElementsOf(
    const Json& array, const std::string& path) const {
  if (!array.is_array()) return Unexpected(path, "a list of objects");
  std::vector<JsonObject> objects;
  for (const Json& element : array) {
    ASSIGN_OR_RETURN(
        JsonObject child,
        Child(element, absl::StrCat(path, "[", objects.size(), "]")));
    objects.push_back(std::move(child));
  }
  return objects;
}

absl::StatusOr<std::vector<JsonObject>> JsonObject::Objects(
    absl::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::vector<JsonObject>();
  return ElementsOf(*value, PathOf(key));
}

absl::StatusOr<std::vector<std::vector<JsonObject>>> JsonObject::ObjectLists(
    absl::string_view key) const {
  std::vector<std::vector<JsonObject>> lists;
  const Json* value = Find(key);
  if (value == nullptr) return lists;
  if (!value->is_array()) return Unexpected(PathOf(key), "a list of lists");
  for (const Json& element : *value) {
    ASSIGN_OR_RETURN(
        std::vector<JsonObject> objects,
        ElementsOf(element, absl::StrCat(PathOf(key), "[", lists.size(), "]")));
    lists.push_back(std::move(objects));
  }
  return lists;
}

}  // namespace davit
