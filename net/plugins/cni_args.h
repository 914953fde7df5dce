#ifndef DAVIT_NET_PLUGINS_CNI_ARGS_H_
#define DAVIT_NET_PLUGINS_CNI_ARGS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// The pairs of CNI_ARGS, "K=V;K=V". Keys are case-sensitive, the last of equal
// ones wins. Unlike Go's plugins, ours never refuse keys that they do not know,
// so IgnoreUnknown has no effect. InvalidArgument for a pair that has not
// exactly one '='.
absl::StatusOr<std::map<std::string, std::string>> ParseCniArgs(
    absl::string_view text);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_CNI_ARGS_H_
