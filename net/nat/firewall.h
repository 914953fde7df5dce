#ifndef DAVIT_NET_NAT_FIREWALL_H_
#define DAVIT_NET_NAT_FIREWALL_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/nat/davit_table.h"
#include "net/netlink/ip_address.h"

namespace davit {

// What the firewall shall let through for one attachment.
struct FirewallPod {
  enum class Ingress {
    kOpen,        // whatever the rest of the node's rules allow
    kSameBridge,  // nothing from other bridges that have such a policy
    kIsolated,    // nor from the same one (where bridged packets pass through
                  // IP's hooks: bridge-nf-call-iptables)
  };
  ElementOwner owner;
  std::vector<IpAddress> addresses;
  Ingress ingress = Ingress::kOpen;
  std::string bridge;                     // needed unless kOpen
  std::string admin_chain = "CNI-ADMIN";  // see FilterForward
};

// Forwarding to and from pods, as a part of the table `inet davit`:
//
//   set firewall4 { type ipv4_addr; elements = { 10.0.0.2 comment "ID eth0" } }
//   set firewall6 { type ipv6_addr }
//   set policy_bridges { type ifname; elements = { "br0" comment … } }
//   set same_bridge { type ifname . ifname; elements = { "br0" . "br0" … } }
//   chain firewall { type filter hook forward priority filter; policy accept;
//     iifname @policy_bridges oifname @policy_bridges
//         iifname . oifname != @same_bridge drop }
//
// Drops are good in any table, so ingress policies are all ours. Accepts are
// not: firewall4 and firewall6 are only the record of who has them, and the
// rules themselves go where drops may be, see FilterForward. When that chain
// comes later than pods (Docker is started), the next Add makes up for all.
//
// A change is one transaction over both tables. One thread at a time.
class Firewall {
 public:
  // In the calling thread's network namespace; see DavitTable::Open for when
  // to destroy it.
  static absl::StatusOr<Firewall> Open();

  // Doing it again does no harm.
  absl::Status Add(const FirewallPod& pod);
  // Also of `addresses` that no other pod has, as Go's plugin adds rules
  // without a record. OK if there is nothing. Bridges' policies go with the
  // last pod.
  absl::Status Remove(const ElementOwner& owner,
                      const std::vector<IpAddress>& addresses);
  // NotFound, naming what is missing.
  absl::Status Check(const FirewallPod& pod);

 private:
  struct Plan;

  explicit Firewall(DavitTable table) : table_(std::move(table)) {}

  absl::Status TryAdd(const FirewallPod& pod);
  absl::Status PlanRecord(const FirewallPod& pod, Plan* plan);
  absl::Status PlanIngress(const FirewallPod& pod, Plan* plan);
  absl::Status TryRemove(const ElementOwner& owner,
                         const std::vector<IpAddress>& addresses);
  absl::Status PlanPolicyRemoval(Plan* plan);
  absl::StatusOr<std::vector<IpAddress>> RecordedAddresses();

  DavitTable table_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_FIREWALL_H_
