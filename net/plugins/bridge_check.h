#ifndef DAVIT_NET_PLUGINS_BRIDGE_CHECK_H_
#define DAVIT_NET_PLUGINS_BRIDGE_CHECK_H_

#include "absl/status/status.h"
#include "net/netlink/netlink.h"
#include "net/plugins/bridge_config.h"
#include "net/plugins/cni_result.h"

namespace davit {

// The parts of bridge's CHECK that are about the node. FailedPrecondition names
// what is not as the configuration says, or not as prevResult does.

// Kind, MAC address and mode of the bridge, and the gateways' addresses.
absl::Status CheckBridge(Netlink& node, const BridgeConfig& config,
                         const CniResult& previous);

// The node's end of the veth, whose other end is `pod`.
absl::Status CheckPort(Netlink& node, const BridgeConfig& config,
                       const Link& pod, const CniResult& previous);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BRIDGE_CHECK_H_
