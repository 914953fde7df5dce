#ifndef DAVIT_NET_PLUGINS_PTP_ROUTES_H_
#define DAVIT_NET_PLUGINS_PTP_ROUTES_H_

#include "absl/status/status.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/pod_ends.h"
#include "net/plugins/pod_veth.h"

namespace davit {

// What makes a veth a point-to-point link. Every packet of the pod goes through
// the node's routing:
//
//   pod    address IP/PREFIX; routes: GATEWAY on the link, PREFIX and IPAM's
//          routes by GATEWAY
//   node   address GATEWAY/32 (/128) on each veth; route: IP/32 (/128)

// InvalidArgument unless IPAM gave addresses, each with a gateway of its
// family.
absl::Status CheckPtpIpamResult(const CniResult& result);

// The pod's routes to gateways and prefixes; its link is up and has the
// addresses.
absl::Status AddPtpPodRoutes(PodEnds& ends, const Link& link,
                             const CniResult& result);
// The gateways' addresses on the node's end, and the routes to the pod.
absl::Status ConfigurePtpNode(Netlink& node, const Link& link,
                              const CniResult& result);
// FailedPrecondition unless the node's end of prevResult is there and the
// routes to the pod's addresses go by it.
absl::Status CheckPtpNode(Netlink& node, const PluginRequest& request,
                          const CniResult& previous);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PTP_ROUTES_H_
