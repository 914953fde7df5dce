#include "net/cni/json.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "net/cni/one_line.h"

namespace davit {
namespace {

// The parser is iterative but copying and printing a tree recurse.
constexpr int kMaxDepth = 100;
constexpr size_t kMaxErrorLength = 300;

bool IsTooDeep(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// nlohmann's text without its "[json.exception.parse_error.101] ", bounded, as
// it repeats the last token, which may be megabytes of somebody's garbage.
std::string ErrorText(absl::string_view what) {
  size_t bracket = what.find("] ");
  if (bracket != absl::string_view::npos) what.remove_prefix(bracket + 2);
  return OneLine(what, kMaxErrorLength);
}

absl::Status TypeError(absl::string_view where, absl::string_view key,
                       absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, where.empty() ? "" : ".", key, " is not ", expected));
}

}  // namespace

absl::StatusOr<CniJson> ParseCniJson(absl::string_view text) {
  if (IsTooDeep(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("json is nested deeper than ", kMaxDepth, " levels"));
  }
  try {
    return CniJson::parse(text.begin(), text.end());
  } catch (const CniJson::exception& error) {
    return absl::InvalidArgumentError(ErrorText(error.what()));
  }
}

std::string DumpCniJson(const CniJson& json) {
  return json.dump(-1, ' ', false, CniJson::error_handler_t::replace);
}

const CniJson* FindCniMember(const CniJson& object, absl::string_view key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(std::string(key));
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

absl::StatusOr<std::string> CniStringMember(const CniJson& object,
                                            absl::string_view key,
                                            absl::string_view where) {
  const CniJson* member = FindCniMember(object, key);
  if (member == nullptr) return std::string();
  if (!member->is_string()) return TypeError(where, key, "a string");
  return member->get<std::string>();
}

absl::StatusOr<std::vector<std::string>> CniStringListMember(
    const CniJson& object, absl::string_view key, absl::string_view where) {
  std::vector<std::string> strings;
  const CniJson* member = FindCniMember(object, key);
  if (member == nullptr) return strings;
  bool good = member->is_array() &&
              std::all_of(member->begin(), member->end(),
                          [](const CniJson& e) { return e.is_string(); });
  if (!good) return TypeError(where, key, "a list of strings");
  for (const CniJson& element : *member) {
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

absl::StatusOr<bool> CniBoolMember(const CniJson& object, absl::string_view key,
                                   absl::string_view where) {
  const CniJson* member = FindCniMember(object, key);
  if (member == nullptr) return false;
  if (member->is_boolean()) return member->get<bool>();
  if (*member == "true" || *member == "false") return *member == "true";
  return TypeError(where, key, "true or false");
}

absl::StatusOr<std::vector<CniJson>> CniObjectListMember(
    const CniJson& object, absl::string_view key, absl::string_view where) {
  std::vector<CniJson> objects;
  const CniJson* member = FindCniMember(object, key);
  if (member == nullptr) return objects;
  bool good = member->is_array() &&
              std::all_of(member->begin(), member->end(),
                          [](const CniJson& e) { return e.is_object(); });
  if (!good) return TypeError(where, key, "a list of objects");
  return std::vector<CniJson>(member->begin(), member->end());
}

}  // namespace davit
