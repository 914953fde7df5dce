#ifndef DAVIT_NET_PLUGINS_INTERFACE_CHECK_H_
#define DAVIT_NET_PLUGINS_INTERFACE_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The part of CHECK that ptp, bridge and macvlan have in common: whether the
// pod's interface is what ADD made, according to prevResult. What later plugins
// of a chain added is none of its business. The error, FailedPrecondition,
// names the first thing that is missing.

// Checks kind, MAC address, addresses, and the routes of prevResult and of the
// addresses' prefixes (by the gateway if `prefix_by_gateway`, else on the
// link). Returns the interface.
absl::StatusOr<Link> CheckPodInterface(Netlink& pod,
                                       const PluginRequest& request,
                                       const CniResult& previous,
                                       const std::string& kind,
                                       bool prefix_by_gateway);

// Whether the link has the MAC address that prevResult says.
absl::Status CheckMac(const Link& link, const CniInterface& expected);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_INTERFACE_CHECK_H_
