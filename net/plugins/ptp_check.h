#ifndef DAVIT_NET_PLUGINS_PTP_CHECK_H_
#define DAVIT_NET_PLUGINS_PTP_CHECK_H_

#include "absl/status/status.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The parts of ptp's CHECK: whether what ADD made, according to prevResult, is
// still there. What later plugins of a chain added is none of its business. The
// error names the first thing that is missing.

// The pod's interface: kind, MAC address, addresses, routes.
absl::Status CheckPod(Netlink& pod, const PluginRequest& request,
                      const CniResult& previous);

// The node's interface, and its routes to the pod.
absl::Status CheckNode(Netlink& node, const PluginRequest& request,
                       const CniResult& previous);

// The masquerading of the pod's addresses.
absl::Status CheckMasquerade(const PluginRequest& request,
                             const CniResult& previous);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PTP_CHECK_H_
