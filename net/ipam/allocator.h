#ifndef DAVIT_NET_IPAM_ALLOCATOR_H_
#define DAVIT_NET_IPAM_ALLOCATOR_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/ipam/lease_store.h"
#include "net/ipam/range.h"
#include "net/netlink/ip_address.h"

namespace davit {

// An address given out, with the prefix length and the gateway of its range.
struct Allocation {
  IpPrefix address;
  IpAddress gateway;
  bool operator==(const Allocation&) const = default;
};

// Hands out addresses as Go's host-local does: one of each range set, round
// robin from the last one given out, never a gateway. Borrows the store. One
// thread at a time; processes are kept apart by the store's lock.
class Allocator {
 public:
  Allocator(LeaseStore* store, std::vector<RangeSet> sets)
      : store_(*store), sets_(std::move(sets)) {}

  // Reserves one address of each set for `owner`, all or none. Each of
  // `requested` must be the address of some set. AlreadyExists if the owner
  // holds an address of a set already, or a requested one is held;
  // ResourceExhausted if a set is used up; InvalidArgument for a requested
  // address that is a gateway or in no set.
  absl::StatusOr<std::vector<Allocation>> Allocate(
      const LeaseOwner& owner, std::vector<IpAddress> requested);

 private:
  absl::StatusOr<Allocation> AllocateFrom(
      int set, const LeaseOwner& owner, const std::vector<Lease>& held,
      const std::optional<IpAddress>& requested);
  absl::StatusOr<Allocation> Take(int set, const LeaseOwner& owner,
                                  const IpAddress& address);
  absl::StatusOr<Allocation> TakeNext(int set, const LeaseOwner& owner);

  LeaseStore& store_;
  std::vector<RangeSet> sets_;
};

// Releases every address that `owner` holds; OK if there is none.
absl::Status ReleaseLeases(LeaseStore* store, const LeaseOwner& owner);

// Releases every address whose owner is none of `valid`: what is left of
// containers that vanished without DEL.
absl::Status ReleaseLeasesExcept(LeaseStore* store,
                                 const std::vector<LeaseOwner>& valid);

// Whether each set has an address left.
absl::StatusOr<bool> HasFreeAddresses(LeaseStore* store,
                                      const std::vector<RangeSet>& sets);

// Calls `visit` with the addresses of a set in the order in which they are to
// be tried (after `last`, or from the first one; each once; no gateways) and
// the range of each, until it returns false.
void ForEachCandidate(
    const RangeSet& set, const std::optional<IpAddress>& last,
    const std::function<bool(const IpAddress&, const Range&)>& visit);

}  // namespace davit

#endif  // DAVIT_NET_IPAM_ALLOCATOR_H_
