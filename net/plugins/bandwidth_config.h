#ifndef DAVIT_NET_PLUGINS_BANDWIDTH_CONFIG_H_
#define DAVIT_NET_PLUGINS_BANDWIDTH_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "net/netlink/traffic_control.h"
#include "net/plugins/plugin.h"

namespace davit {

struct BandwidthLimit {
  uint64_t rate = 0;   // bits a second
  uint64_t burst = 0;  // bits
  bool operator==(const BandwidthLimit&) const = default;
};

// The limits of one attachment, as seen by the pod: ingress is what it
// receives. Unset: no limit.
struct BandwidthConfig {
  std::optional<BandwidthLimit> ingress;
  std::optional<BandwidthLimit> egress;
};

// Reads ingressRate, ingressBurst, egressRate and egressBurst; the same keys of
// runtimeConfig.bandwidth count if there is none of them. 0 is no limit.
// InvalidArgument names the field: rate and burst go together, and a burst is
// below 4 GiB.
absl::StatusOr<BandwidthConfig> ParseBandwidthConfig(
    const PluginRequest& request);

// The token bucket of a limit, with the queue and the numbers of Go's plugin:
// packets wait for 25 ms at most.
TokenBucket MakeTokenBucket(const BandwidthLimit& limit);

// The name of the link that shapes what a container sends: Go's too.
std::string IfbName(const std::string& network,
                    const std::string& container_id);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BANDWIDTH_CONFIG_H_
