#ifndef DAVIT_NET_PLUGINS_BRIDGE_LINK_H_
#define DAVIT_NET_PLUGINS_BRIDGE_LINK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/plugins/bridge_config.h"
#include "net/plugins/cni_result.h"

namespace davit {

// The node's side of a bridged network. All of it may be done by many processes
// at once: what is there already, made by whomever, is used. The socket is in
// the calling thread's network namespace, since sysctl files belong to that.

// The bridge, created if need be and up. One that we create keeps its MAC
// address for life, so that the pods' neighbour entries for their gateway stay
// true. FailedPrecondition if the name is that of something else, or of a
// bridge without the VLAN filtering that the configuration needs.
absl::StatusOr<Link> EnsureBridge(Netlink& node, const BridgeConfig& config);

// Port settings and VLANs of a new port.
absl::Status ConfigurePort(Netlink& node, const BridgeConfig& config,
                           const Link& bridge, const Link& port);

// Where the gateways' addresses belong: the bridge, or with a VLAN an interface
// in it, "<bridge>.<vlan>", created if need be: the other end of a veth that is
// a port of the bridge.
absl::StatusOr<Link> EnsureGatewayLink(Netlink& node,
                                       const BridgeConfig& config,
                                       const Link& bridge);

// Gives the link the gateways' addresses of the result. FailedPrecondition if
// it has another IPv4 address or an overlapping IPv6 one, unless force_address:
// then those go.
absl::Status EnsureGatewayAddresses(Netlink& node, const BridgeConfig& config,
                                    const Link& link, const CniResult& result);

// Returns when the port passes packets. The kernel opens it after the pod's end
// has come up, but in its own time (linkwatch). DeadlineExceeded after 2.5 s.
absl::Status WaitForPort(Netlink& node, const Link& port);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BRIDGE_LINK_H_
