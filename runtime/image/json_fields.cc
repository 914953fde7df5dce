#include "runtime/image/json_fields.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

using nlohmann::json;

absl::Status WrongType(absl::string_view where, absl::string_view key,
                       absl::string_view wanted, const json& value) {
  return absl::InvalidArgumentError(absl::StrCat(
      where, ": \"", key, "\" is ", value.type_name(), ", want ", wanted));
}

}  // namespace

absl::StatusOr<json> ParseJson(absl::string_view text, absl::string_view what) {
  json value = json::parse(text.begin(), text.end(), nullptr,
                           /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is not JSON"));
  }
  return value;
}

const json& FieldOrNull(const json& object, const char* key) {
  static const json* const kNull = new json();
  if (!object.is_object()) return *kNull;
  auto it = object.find(key);
  return it == object.end() ? *kNull : *it;
}

absl::StatusOr<std::string> StringField(const json& object, const char* key,
                                        absl::string_view where) {
  const json& value = FieldOrNull(object, key);
  if (value.is_null()) return "";
  if (!value.is_string()) return WrongType(where, key, "a string", value);
  return value.get<std::string>();
}

absl::StatusOr<uint64_t> UnsignedField(const json& object, const char* key,
                                       absl::string_view where) {
  const json& value = FieldOrNull(object, key);
  if (value.is_null()) return 0;
  if (!value.is_number_unsigned()) {
    return WrongType(where, key, "a number that is not negative", value);
  }
  return value.get<uint64_t>();
}

absl::StatusOr<json> ListField(const json& object, const char* key,
                               absl::string_view where) {
  const json& value = FieldOrNull(object, key);
  if (value.is_null()) return json::array();
  if (!value.is_array()) return WrongType(where, key, "a list", value);
  return value;
}

absl::StatusOr<std::vector<std::string>> StringListField(
    const json& object, const char* key, absl::string_view where) {
  ASSIGN_OR_RETURN(json list, ListField(object, key, where));
  std::vector<std::string> result;
  for (const json& item : list) {
    if (!item.is_string()) {
      return WrongType(where, absl::StrCat(key, "[", result.size(), "]"),
                       "a string", item);
    }
    result.push_back(item.get<std::string>());
  }
  return result;
}

absl::StatusOr<std::map<std::string, std::string>> StringMapField(
    const json& object, const char* key, absl::string_view where) {
  const json& value = FieldOrNull(object, key);
  std::map<std::string, std::string> result;
  if (value.is_null()) return result;
  if (!value.is_object()) return WrongType(where, key, "an object", value);
  for (const auto& [name, item] : value.items()) {
    if (!item.is_string()) {
      return WrongType(where, absl::StrCat(key, ".", name), "a string", item);
    }
    result[name] = item.get<std::string>();
  }
  return result;
}

std::string DumpJson(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace davit
