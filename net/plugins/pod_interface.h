#ifndef DAVIT_NET_PLUGINS_POD_INTERFACE_H_
#define DAVIT_NET_PLUGINS_POD_INTERFACE_H_

#include "absl/status/status.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/pod_ends.h"

namespace davit {

// What the plugins that make an interface do with it, and with the node, when
// IPAM has answered.

struct PodInterfaceOptions {
  // The prefix of each address is on the link, so the kernel makes a route for
  // it; else only the address itself is.
  bool prefix_on_link = true;
  // The neighbours are told of the addresses when the link goes up, so that
  // none goes on sending to an earlier owner. Nothing waits for that.
  bool arp_notify = false;
  bool ndisc_notify = false;
  // IPv6 addresses go through duplicate address detection, and this waits for
  // its end.
  //
  // By default they do not, and are usable at once, without the second or two
  // that detection takes. It finds hosts that have given themselves an address
  // on a link without an administration (RFC 4862). Ours are leases, each given
  // once on this node, out of ranges that are this node's to give; so there is
  // no one else to be found. The link-local address, which the link makes by
  // itself, comes of the MAC address, which is unique likewise. Where the range
  // is shared with others (a macvlan on a network that several nodes give
  // addresses of), "enabledad" turns detection on.
  bool enable_dad = false;
};

// Whether the pod gets an address of the family.
bool HasAddressOf(const CniResult& result, bool v6);

// Gives the pod's interface the addresses of the result and brings it up.
// Aborted if detection finds an address in use, DeadlineExceeded if it has not
// ended in ten seconds.
absl::Status BringUpPodInterface(PodEnds& ends, const Link& link,
                                 const CniResult& result,
                                 const PodInterfaceOptions& options);

// Adds the routes of the result, each by its gateway, else by the first one of
// its family's addresses, else on the link. With `any_gateway` next hops need
// no route of their own, since whatever is sent goes to the node.
absl::Status AddPodRoutes(PodEnds& ends, const Link& link,
                          const CniResult& result, bool any_gateway);

// Turns on forwarding for the families of the result's addresses. Never turned
// off again: others may count on it.
absl::Status EnableForwarding(const CniResult& result);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_POD_INTERFACE_H_
