#ifndef DAVIT_NET_NAT_MASQUERADE_H_
#define DAVIT_NET_NAT_MASQUERADE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/nat/davit_table.h"
#include "net/netlink/ip_address.h"

namespace davit {

using MasqueradeOwner = ElementOwner;

// Source NAT for pods, by nf_tables over netlink; no program is run. It is one
// part of the table that all pods of a node share (see DavitTable), as
// `nft list ruleset` shows it:
//
//   table inet davit {
//     set masq4 { type ipv4_addr; elements = { 172.16.28.2 comment "ID eth0" }
//     } set masq6 { type ipv6_addr } chain postrouting {
//       type nat hook postrouting priority srcnat; policy accept;
//       ip saddr @masq4 ip daddr != @masq4 ip daddr != 224.0.0.0/4 masquerade
//       ip6 saddr @masq6 ip6 daddr != @masq6 ip6 daddr != ff00::/8 masquerade
//     }
//   }
//
// A pod costs one set element per address; rules, and the time that a packet
// or a change takes, do not grow with the number of pods.
//
// Differs from Go's plugins in one thing: theirs exempt the pod's own subnet
// from masquerading, ours all masqueraded pods. So pods of two masqueraded
// networks of one node see each other's true addresses.
//
// One thread at a time.
class Masquerade {
 public:
  // In the calling thread's network namespace; see DavitTable::Open for when
  // to destroy it.
  static absl::StatusOr<Masquerade> Open();

  // From now on new connections of `address` leave under the node's address.
  // An element of another owner, left over by a crash, becomes the new one's.
  absl::Status Add(const IpAddress& address, const MasqueradeOwner& owner);

  // Ends it for all addresses of `owner`; OK if there are none. `hints` are
  // the addresses that it should have: if one is found there, no other is
  // looked for, else all elements' comments are.
  absl::Status Remove(const std::vector<IpAddress>& hints,
                      const MasqueradeOwner& owner);

  // Whether `address` is masqueraded for `owner`.
  absl::StatusOr<bool> Contains(const IpAddress& address,
                                const MasqueradeOwner& owner);

 private:
  explicit Masquerade(DavitTable table) : table_(std::move(table)) {}

  absl::Status TryAdd(const IpAddress& address, const std::string& comment);
  // OK if it was removed by somebody else.
  absl::Status RemoveElement(const IpAddress& address);
  absl::StatusOr<std::vector<IpAddress>> FindByComment(
      const std::string& comment);

  DavitTable table_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_MASQUERADE_H_
