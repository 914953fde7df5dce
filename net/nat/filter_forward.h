#ifndef DAVIT_NET_NAT_FILTER_FORWARD_H_
#define DAVIT_NET_NAT_FILTER_FORWARD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/nl_message.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// The FORWARD chain of iptables' filter table (`ip filter` or `ip6 filter`, as
// iptables-nft keeps it), which is not ours. An accept in a table of ours does
// not outweigh a drop there (Docker's policy, ufw), so pods need rules in it.
// They are those of Go's firewall plugin, in the form in which iptables-nft
// writes them, so that iptables lists and deletes them:
//
//   -A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
//   -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides"
//      -j CNI-ADMIN
//   -A CNI-FORWARD -d 10.0.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED
//      -j ACCEPT
//   -A CNI-FORWARD -s 10.0.0.2/32 -j ACCEPT
//
// Never comes into being here: nothing is done where there is no FORWARD chain.
// Tables of iptables-legacy are out of reach.
struct FilterForward {
  bool v6 = false;
  bool present = false;  // there is a FORWARD chain
  bool has_private_chain = false;
  bool has_admin_chain = false;
  bool jumps_to_private = false;
  bool jumps_to_admin = false;

  // One rule for a pod, of the two that it has.
  struct PodRule {
    IpAddress address;
    bool is_source = false;
    uint64_t handle = 0;
  };
  std::vector<PodRule> rules;

  // What there is now. `admin_chain` is the name of the administrator's.
  static absl::StatusOr<FilterForward> Read(NlSocket& socket, bool v6,
                                            const std::string& admin_chain);

  bool HasRules(const IpAddress& address) const;

  // Appends what is missing for pods with these addresses (those of the other
  // family are passed over).
  void AppendAdditions(const std::string& admin_chain,
                       const std::vector<IpAddress>& addresses,
                       std::vector<NlMessage>* batch) const;
  // Appends the deletion of the rules for these addresses. The chains and the
  // jumps stay, as with Go's plugin: they may be others'.
  void AppendDeletions(const std::vector<IpAddress>& addresses,
                       std::vector<NlMessage>* batch) const;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_FILTER_FORWARD_H_
