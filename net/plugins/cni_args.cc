#include "net/plugins/cni_args.h"

#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace davit {

absl::StatusOr<std::map<std::string, std::string>> ParseCniArgs(
    absl::string_view text) {
  std::map<std::string, std::string> args;
  if (text.empty()) return args;
  for (absl::string_view pair : absl::StrSplit(text, ';')) {
    std::vector<std::string> parts = absl::StrSplit(pair, '=');
    if (parts.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrFormat("ARGS: invalid pair \"%s\"", pair));
    }
    args[parts[0]] = parts[1];
  }
  return args;
}

}  // namespace davit
