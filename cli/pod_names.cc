#include "cli/pod_names.h"

#include "absl/strings/strip.h"

namespace davit::cli {

std::string PodName(absl::string_view word) {
  return std::string(absl::StripPrefix(word, "pod/"));
}

std::vector<std::string> PodNames(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  bool typed = !words.empty() &&
               (words[0] == "pod" || words[0] == "pods" || words[0] == "po");
  for (size_t i = typed ? 1 : 0; i < words.size(); ++i) {
    names.push_back(PodName(words[i]));
  }
  return names;
}

}  // namespace davit::cli
