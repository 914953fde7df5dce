#ifndef DAVIT_NET_PLUGINS_PTP_LINK_H_
#define DAVIT_NET_PLUGINS_PTP_LINK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/ptp_config.h"

namespace davit {

// Whose link it is.
struct PtpAttachment {
  std::string container_id;
  std::string ifname;  // of the pod's end

  // Names that the node's end may have, "veth" and eight digits, hashed from
  // the above; the first one is taken unless a stranger has it.
  std::vector<std::string> HostNames() const;
  // The alias of the node's end, by which it is known: "<container id>
  // <ifname>", at most 127 bytes of it.
  std::string Alias() const;
};

// Both ends of a link.
struct PtpLink {
  Link host;
  Link pod;
};

// The veth of one pod: one end in the node's namespace, the other one, named
// as the runtime asks, in the pod's. Every packet of the pod goes through the
// node's routing:
//
//   pod    address IP/PREFIX; routes: GATEWAY on the link, PREFIX and IPAM's
//          routes by GATEWAY
//   node   address GATEWAY/32 (/128) on each veth; route: IP/32 (/128)
//
// Borrows sockets and descriptor; the node's namespace must be the caller's,
// since sysctl files belong to that. One thread at a time.
class PtpLinks {
 public:
  PtpLinks(Netlink* node, Netlink* pod, int pod_netns_fd)
      : node_(*node), pod_(*pod), pod_netns_fd_(pod_netns_fd) {}

  // Creates the pair, with the node's end up. AlreadyExists if the pod has an
  // interface of that name.
  absl::StatusOr<PtpLink> Create(const PtpAttachment& attachment,
                                 const PtpConfig& config);

  // Gives the pod's end addresses and routes and brings it up. `result` is
  // IPAM's; every address needs a gateway.
  absl::Status ConfigurePod(const PtpLink& link, const CniResult& result);
  absl::Status ConfigureNode(const PtpLink& link, const CniResult& result);

 private:
  absl::StatusOr<std::string> AddPair(const PtpAttachment& attachment,
                                      const PtpConfig& config);
  absl::Status AddPtpRoutes(int index, const CniResult& result);
  absl::Status AddIpamRoute(int index, const CniRoute& route,
                            const CniResult& result);

  Netlink& node_;
  Netlink& pod_;
  int pod_netns_fd_;
};

// Removes the node's end, and with it the pair, if it is the attachment's: by
// its alias, or, when Go's ptp made it, by name and MAC address in `previous`.
// OK if there is none.
absl::Status RemoveHostLink(Netlink* node, const PtpAttachment& attachment,
                            const CniResult& previous);

// Turns on forwarding for the families of the result's addresses. Never turned
// off again: others may count on it.
absl::Status EnableForwarding(const CniResult& result);

// The name of the host's interface in a result of ptp, or "".
std::string HostNameOf(const CniResult& result);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PTP_LINK_H_
