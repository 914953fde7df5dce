#ifndef DAVIT_CLI_POD_NAMES_H_
#define DAVIT_CLI_POD_NAMES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// How people name pods on the command line, as with kubectl.

namespace davit::cli {

// "pod/a" and "a" mean the pod a.
std::string PodName(absl::string_view word);

// "pod a b", "pods a b", "pod/a b", "a b": all mean these pods.
std::vector<std::string> PodNames(const std::vector<std::string>& words);

}  // namespace davit::cli

#endif  // DAVIT_CLI_POD_NAMES_H_
