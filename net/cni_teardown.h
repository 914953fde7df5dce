#ifndef DAVIT_NET_CNI_TEARDOWN_H_
#define DAVIT_NET_CNI_TEARDOWN_H_

#include <vector>

#include "absl/status/status.h"
#include "net/cni/exec.h"
#include "net/cni_membership.h"
#include "net/cni_node.h"

namespace davit {

// DEL for many pods at the price of a few. The kernel makes each process that
// removes a link or an element of nf_tables wait for RCU grace periods (10-20
// ms), one after the other, as they hold its one lock. So the elements and the
// node's ends of all links that our plugins made are deleted as one group
// first, and with each link its pod's end; DEL finds nothing to wait for then,
// and DELs of different pods run in parallel.
class CniTeardown {
 public:
  // Borrows its parts.
  CniTeardown(CniMemberships* memberships, const CniExec* exec,
              const CniNode* node)
      : memberships_(*memberships), exec_(*exec), node_(*node) {}

  // One inner list for each pod, in the order in which its memberships are to
  // end. Returns the outcomes in the same order.
  std::vector<std::vector<absl::Status>> Leave(
      const std::vector<std::vector<CniMembership>>& pods);

 private:
  void DeleteAsGroup(const std::vector<std::vector<CniMembership>>& pods);
  bool IsAllOurs(const CniMembership& membership) const;

  CniMemberships& memberships_;
  const CniExec& exec_;
  const CniNode& node_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_TEARDOWN_H_
