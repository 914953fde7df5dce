#ifndef DAVIT_NET_PLUGINS_POD_VETH_H_
#define DAVIT_NET_PLUGINS_POD_VETH_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/plugin.h"
#include "net/plugins/pod_ends.h"

namespace davit {

// Whose link it is.
struct PodAttachment {
  std::string container_id;
  std::string ifname;  // of the pod's end

  // Names that the node's end may have, "veth" and eight digits, hashed from
  // the above; the first one is taken unless a stranger has it.
  std::vector<std::string> HostNames() const;
  // The alias of the node's end, by which it is known: "<container id>
  // <ifname>", at most 127 bytes of it.
  std::string Alias() const;
};

// Both ends of a veth: one in the node's namespace, the other one, named as the
// runtime asks, in the pod's.
struct PodVeth {
  Link host;
  Link pod;
};

// What the node's end is for.
struct NodeEnd {
  int bridge_index = 0;  // a port of this bridge; 0: of none
  // The link makes itself an IPv6 link-local address, which the node needs to
  // find the pod's IPv6 addresses. Without those nobody uses it, but each costs
  // all later links: going up walks all IPv6 routes of the node (0.6 ms of them
  // at 500 pods), and every address sends solicitations and reports, for which
  // the kernel takes the lock that link changes wait for.
  bool link_local = false;
};

// Creates the pair, with the node's end up. That end has the name that the
// configuration asks for, and the hashed one as an alternative name, so that it
// is found without the configuration; else only the hashed one. AlreadyExists
// if the pod has an interface of that name or the node one of the name asked
// for.
absl::StatusOr<PodVeth> CreatePodVeth(PodEnds& ends,
                                      const PodAttachment& attachment,
                                      const InterfaceConfig& config,
                                      const NodeEnd& node_end);

// Removes the node's end, and with it the pair, if it is the attachment's: by
// its alias, or, when a Go plugin made it, by name and MAC address in
// `previous`. OK if there is none.
absl::Status RemoveHostLink(Netlink& node, const PodAttachment& attachment,
                            const CniResult& previous);

// For DEL: removes the pod's end, if its namespace is there, then the node's,
// which may live on when the pin is gone but a process still keeps the
// namespace. OK if nothing is there.
absl::Status RemovePodVeth(const PluginRequest& request,
                           const CniResult& previous);

// The node's end of the veth in a result of ptp or, if `bridge` names it, of
// bridge; null if there is none.
const CniInterface* FindHostInterface(const CniResult& result,
                                      const std::string& bridge = "");

// As in a result.
CniInterface ToCniInterface(const Link& link, const std::string& sandbox);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_POD_VETH_H_
