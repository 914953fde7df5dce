#ifndef DAVIT_NET_CNI_JSON_H_
#define DAVIT_NET_CNI_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// JSON as the CNI runtime keeps it: keys in the order of the document and
// 64-bit integers exact, so that what we do not know reaches a plugin
// unchanged.
using CniJson = nlohmann::ordered_json;

// Parses one document. InvalidArgument for anything else, also for a second
// document behind it and for nesting that could exhaust a stack. Never throws.
absl::StatusOr<CniJson> ParseCniJson(absl::string_view text);

// The document on one line. Never throws.
std::string DumpCniJson(const CniJson& json);

// The readers below take the member `key` of `object`; an absent or null member
// gives the empty value, one of the wrong type InvalidArgument. `where` is the
// object's own place in the document ("" at the top) and makes errors read
// "ips[0].address is not a string".

// nullptr if `object` is no object or the member is absent or null.
const CniJson* FindCniMember(const CniJson& object, absl::string_view key);
absl::StatusOr<std::string> CniStringMember(const CniJson& object,
                                            absl::string_view key,
                                            absl::string_view where = "");
absl::StatusOr<std::vector<std::string>> CniStringListMember(
    const CniJson& object, absl::string_view key, absl::string_view where = "");
// Also takes "true" and "false" in quotes, as Go's libcni does.
absl::StatusOr<bool> CniBoolMember(const CniJson& object, absl::string_view key,
                                   absl::string_view where = "");
// An array whose elements are all objects.
absl::StatusOr<std::vector<CniJson>> CniObjectListMember(
    const CniJson& object, absl::string_view key, absl::string_view where = "");

}  // namespace davit

#endif  // DAVIT_NET_CNI_JSON_H_
