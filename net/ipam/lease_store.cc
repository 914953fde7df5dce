#include "net/ipam/lease_store.h"

#include <algorithm>
#include <iterator>

#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<std::vector<Lease>> LeaseStore::ListOf(const LeaseOwner& owner) {
  ASSIGN_OR_RETURN(std::vector<Lease> leases, List());
  return LeasesOf(leases, owner);
}

std::vector<Lease> LeasesOf(const std::vector<Lease>& leases,
                            const LeaseOwner& owner) {
  std::vector<Lease> found;
  std::copy_if(leases.begin(), leases.end(), std::back_inserter(found),
               [&](const Lease& lease) {
                 return lease.owner.container_id == owner.container_id &&
                        (lease.owner.ifname.empty() ||
                         lease.owner.ifname == owner.ifname);
               });
  return found;
}

}  // namespace davit
