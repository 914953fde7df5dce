#ifndef DAVIT_NET_NAT_PORT_MAPS_H_
#define DAVIT_NET_NAT_PORT_MAPS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/nat/davit_table.h"
#include "net/nat/port_forward.h"
#include "net/netlink/ip_address.h"

namespace davit {

// One address of a pod, and whose connections through port maps reach it under
// the node's address instead of their own.
struct PortMapPod {
  enum class Masquerade {
    kNobody,
    // Those that would else be answered past the node, and so in vain: the
    // node's own from 127.0.0.1, the pod's own, and those of its neighbours on
    // the same bridge.
    kNear,
    kEverybody,
  };
  IpAddress address;
  Masquerade masquerade = Masquerade::kNobody;
  // The node's interface by which the pod is reached; 0: none in particular.
  int interface = 0;
};

// Port maps as a part of the table `inet davit`, as `nft list ruleset` shows
// it; IPv6 likewise, with 6 for 4, but without ::1:
//
//   map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service
//                elements = { tcp . 8080 comment "ID eth0" : 10.0.0.2 . 80 } }
//   map address_ports4 {
//                type ipv4_addr . inet_proto . inet_service : … }
//   map port_masq4 { type ipv4_addr : verdict
//                elements = { 10.0.0.2 comment "ID eth0" : goto masq_near4 } }
//   set hairpin4 { type ipv4_addr . iface_index
//                elements = { 10.0.0.2 . "veth1" comment "ID eth0" } }
//   set self4 { type ipv4_addr . ipv4_addr
//               elements = { 10.0.0.2 . 10.0.0.2 comment "ID eth0" } }
//   chain ports_in  { type nat hook prerouting priority dstnat;
//                     fib daddr type local goto ports }
//   chain ports_out { type nat hook output priority -100;
//                     fib daddr type local goto ports }
//   chain ports { dnat ip to ip daddr . meta l4proto . th dport
//                     map @address_ports4
//                 dnat ip to meta l4proto . th dport map @ports4 }
//   chain ports_masq { type nat hook postrouting priority srcnat;
//                     ct status dnat ip daddr vmap @port_masq4 }
//   chain masq_near4 { ip daddr . iif @hairpin4 masquerade
//                      ip saddr . ip daddr @self4 masquerade
//                      ip saddr 127.0.0.0/8 masquerade }
//   chain masq_all { masquerade }
//   chain ports_guard { type filter hook prerouting priority raw;
//                       iif != "lo" ip saddr 127.0.0.0/8 drop
//                       iif != "lo" ip daddr 127.0.0.0/8 drop }
//
// hairpin4 is about what comes and goes by one interface of the node. Where
// bridged packets pass through IP's hooks (bridge-nf-call-iptables), they show
// no interface there, and go from port to port of the bridge, back to the same
// one in its hairpin mode alone: then answers come the same way and need no
// masquerading, but for the pod's own, self4.
//
// A mapping is one element, a pod up to three more for each of its addresses;
// time does not grow with their number, neither for packets nor for changes.
//
// The guard is for route_localnet, which mappings of 127.0.0.1 need on the
// pod's interface (the caller sets it): the kernel's own refusal of such
// packets from outside ends with it, so that pods could reach what listens on
// the node's 127.0.0.1 (CVE-2020-8558). Answers to the node's own connections
// still have the node's address when they pass the guard.
//
// One thread at a time.
class PortMaps {
 public:
  // In the calling thread's network namespace; see DavitTable::Open for when
  // to destroy it.
  static absl::StatusOr<PortMaps> Open();

  // Adds all of `forwards`, and `pods`, to which they lead, in one transaction.
  // FailedPrecondition, naming the owner, if one of them is another owner's
  // already, also if one of the two has no node address; then nothing is done.
  // The same owner's elements are replaced; a mapping that another attachment
  // of the container has already stays that one's, without an error. A pod's
  // address may be taken over from another owner: that is a leftover.
  absl::Status Add(const ElementOwner& owner,
                   const std::vector<PortForward>& forwards,
                   const std::vector<PortMapPod>& pods);

  // Removes all that `owner` has, and returns it; OK if there is nothing.
  absl::StatusOr<std::vector<PortForward>> Remove(const ElementOwner& owner);

  // NotFound, naming the first missing one, unless Add's work is there.
  absl::Status Check(const ElementOwner& owner,
                     const std::vector<PortForward>& forwards,
                     const std::vector<PortMapPod>& pods);

 private:
  // Elements of one set.
  struct Elements {
    const NftSet* set;
    std::vector<NftElement> elements;
  };

  explicit PortMaps(DavitTable table) : table_(std::move(table)) {}

  absl::Status TryAdd(const std::string& comment,
                      const std::vector<PortForward>& forwards,
                      std::vector<Elements> wanted);
  static void SkipSiblings(const std::string& comment,
                           std::vector<Elements>& existing,
                           std::vector<Elements>& wanted);
  absl::Status CheckFree(const std::string& comment,
                         const std::vector<PortForward>& forwards);
  absl::StatusOr<std::vector<Elements>> FindExisting(
      const std::vector<Elements>& wanted);
  static std::vector<Elements> MakeElements(
      const std::string& comment, const std::vector<PortForward>& forwards,
      const std::vector<PortMapPod>& pods);
  static NftChanges Replace(const std::vector<Elements>& removed,
                            const std::vector<Elements>& added);

  DavitTable table_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_PORT_MAPS_H_
