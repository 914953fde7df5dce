#ifndef DAVIT_RUNTIME_IMAGE_JSON_FIELDS_H_
#define DAVIT_RUNTIME_IMAGE_JSON_FIELDS_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// Typed access to JSON that strangers wrote, without exceptions. An absent
// field and null give the empty value (many writers emit null for an empty
// list); another type is InvalidArgument that names `where` and the field.

// `what` names the document in errors.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text,
                                         absl::string_view what);

// An object's member, or null if `object` is no object or lacks it.
const nlohmann::json& FieldOrNull(const nlohmann::json& object,
                                  const char* key);

absl::StatusOr<std::string> StringField(const nlohmann::json& object,
                                        const char* key,
                                        absl::string_view where);
absl::StatusOr<uint64_t> UnsignedField(const nlohmann::json& object,
                                       const char* key,
                                       absl::string_view where);
absl::StatusOr<std::vector<std::string>> StringListField(
    const nlohmann::json& object, const char* key, absl::string_view where);
absl::StatusOr<std::map<std::string, std::string>> StringMapField(
    const nlohmann::json& object, const char* key, absl::string_view where);
// The members of a list, or an empty list.
absl::StatusOr<nlohmann::json> ListField(const nlohmann::json& object,
                                         const char* key,
                                         absl::string_view where);

// For writing: never throws, whatever bytes the strings hold.
std::string DumpJson(const nlohmann::json& value, int indent = -1);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_JSON_FIELDS_H_
