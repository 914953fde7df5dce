#ifndef DAVIT_NET_CNI_RESULT_H_
#define DAVIT_NET_CNI_RESULT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/cni/json.h"
#include "net/pod_network.h"

namespace davit {

// Parses what a plugin printed for ADD: one object. "cniVersion" is added when
// it is absent (`config_version`); null counts as an empty result. All else
// stays as the plugin wrote it. InvalidArgument.
absl::StatusOr<CniJson> ParseCniResult(absl::string_view output,
                                       absl::string_view config_version);

// The pod's view of a result, of any shape from 0.1.0 (ip4, ip6) to 1.1.0.
// The pod's end is the interface `ifname` that has a sandbox; the host's end is
// the last interface without a sandbox before it (a bridge comes earlier).
// Addresses count when they belong to the pod's end or name no interface.
// InvalidArgument naming the field.
absl::StatusOr<InterfaceStatus> InterfaceStatusOfCniResult(
    const CniJson& result, const std::string& network,
    const std::string& ifname);

// What a failed plugin prints, CNI specification section 5 "Error".
struct CniError {
  int code = 0;
  std::string msg;
  std::string details;
};

// nullopt if `output` is no error object.
std::optional<CniError> ParseCniError(absl::string_view output);

// Unavailable for 11 (try again later), 50 and 51 (STATUS); InvalidArgument for
// 1, 2, 6 and 7, which blame the configuration; Internal for all others.
absl::StatusCode StatusCodeOfCniError(int code);

}  // namespace davit

#endif  // DAVIT_NET_CNI_RESULT_H_
