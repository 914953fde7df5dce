#include "agent/pod/expansion.h"

#include "absl/strings/str_cat.h"

namespace davit {
namespace {

// The text for what follows a '$' at the head of `rest`, which loses it.
std::string TakeReference(absl::string_view& rest,
                          const std::map<std::string, std::string>& variables) {
  if (!rest.empty() && rest[0] == '$') {
    rest.remove_prefix(1);
    return "$";
  }
  size_t close = rest.find(')');
  if (rest.empty() || rest[0] != '(' || close == absl::string_view::npos) {
    return "$";
  }
  std::string name(rest.substr(1, close - 1));
  rest.remove_prefix(close + 1);
  auto it = variables.find(name);
  return it != variables.end() ? it->second : absl::StrCat("$(", name, ")");
}

}  // namespace

std::string ExpandVariables(
    absl::string_view text,
    const std::map<std::string, std::string>& variables) {
  std::string out;
  while (!text.empty()) {
    size_t dollar = text.find('$');
    absl::StrAppend(&out, text.substr(0, dollar));
    if (dollar == absl::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    absl::StrAppend(&out, TakeReference(text, variables));
  }
  return out;
}

}  // namespace davit
