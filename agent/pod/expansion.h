#ifndef DAVIT_AGENT_POD_EXPANSION_H_
#define DAVIT_AGENT_POD_EXPANSION_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// Replaces $(NAME) in `text` by the variable's value, as Kubernetes does in
// `command`, `args` and `env` (Pod v1: "Variable references $(VAR_NAME) are
// expanded"): an unknown reference stays as it is, "$$" is one "$" and so
// "$$(NAME)" is the text "$(NAME)". Values are not expanded again.
std::string ExpandVariables(
    absl::string_view text,
    const std::map<std::string, std::string>& variables);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_EXPANSION_H_
