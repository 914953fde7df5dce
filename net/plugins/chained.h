#ifndef DAVIT_NET_PLUGINS_CHAINED_H_
#define DAVIT_NET_PLUGINS_CHAINED_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/json_object.h"
#include "net/plugins/plugin.h"

namespace davit {

// prevResult, for plugins that work on what others have made.
struct ChainedResult {
  JsonObject object;  // to be passed on, see FormatPassedResult
  CniResult result;
};

// nullopt if there is none. Errors in Go's words.
absl::StatusOr<std::optional<ChainedResult>> ReadChainedResult(
    const PluginRequest& request);

// The first IPv4 and the first IPv6 address that belong to CNI_IFNAME in a
// sandbox, or do not say to whom they belong.
std::vector<IpAddress> PodAddresses(const PluginRequest& request,
                                    const CniResult& result);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_CHAINED_H_
