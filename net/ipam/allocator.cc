#include "net/ipam/allocator.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// A place in a range set.
struct Cursor {
  size_t range = 0;
  IpAddress address;
  bool operator==(const Cursor&) const = default;
};

Cursor FirstOf(const RangeSet& set) { return {0, set.ranges()[0].start()}; }

Cursor After(const RangeSet& set, const Cursor& cursor) {
  if (cursor.address != set.ranges()[cursor.range].end()) {
    return {cursor.range, cursor.address.Next()};
  }
  size_t next = (cursor.range + 1) % set.ranges().size();
  return {next, set.ranges()[next].start()};
}

Cursor StartAfter(const RangeSet& set, const std::optional<IpAddress>& last) {
  const Range* range = last.has_value() ? set.Find(*last) : nullptr;
  if (range == nullptr) return FirstOf(set);
  size_t index = static_cast<size_t>(range - set.ranges().data());
  return After(set, {index, *last});
}

// Takes the first of `requested` that the set contains out of the list.
std::optional<IpAddress> TakeRequested(const RangeSet& set,
                                       std::vector<IpAddress>* requested) {
  auto found = std::find_if(
      requested->begin(), requested->end(),
      [&](const IpAddress& ip) { return set.Find(ip) != nullptr; });
  if (found == requested->end()) return std::nullopt;
  IpAddress address = *found;
  requested->erase(std::remove(requested->begin(), requested->end(), address),
                   requested->end());
  return address;
}

}  // namespace

void ForEachCandidate(
    const RangeSet& set, const std::optional<IpAddress>& last,
    const std::function<bool(const IpAddress&, const Range&)>& visit) {
  const Cursor start = StartAfter(set, last);
  Cursor cursor = start;
  do {
    const Range& range = set.ranges()[cursor.range];
    if (cursor.address != range.gateway() && !visit(cursor.address, range)) {
      return;
    }
    cursor = After(set, cursor);
  } while (cursor != start);
}

absl::StatusOr<Allocation> Allocator::Take(int set, const LeaseOwner& owner,
                                           const IpAddress& address) {
  const Range& range = *sets_[set].Find(address);
  if (address == range.gateway()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "requested ip %s is subnet's gateway", address.ToString()));
  }
  ASSIGN_OR_RETURN(bool reserved, store_.Reserve(address, owner, set));
  if (!reserved) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "requested IP address %s is not available in range set %s",
        address.ToString(), sets_[set].ToString()));
  }
  return Allocation{{address, range.subnet().length}, range.gateway()};
}

absl::StatusOr<Allocation> Allocator::TakeNext(int set,
                                               const LeaseOwner& owner) {
  absl::StatusOr<Allocation> result =
      absl::ResourceExhaustedError(absl::StrFormat(
          "no IP addresses available in range set: %s", sets_[set].ToString()));
  ForEachCandidate(sets_[set], store_.LastReserved(set),
                   [&](const IpAddress& address, const Range& range) {
                     absl::StatusOr<bool> reserved =
                         store_.Reserve(address, owner, set);
                     if (!reserved.ok()) {
                       result = reserved.status();
                     } else if (*reserved) {
                       result = Allocation{{address, range.subnet().length},
                                           range.gateway()};
                     }
                     return reserved.ok() && !*reserved;
                   });
  return result;
}

absl::StatusOr<Allocation> Allocator::AllocateFrom(
    int set, const LeaseOwner& owner, const std::vector<Lease>& held,
    const std::optional<IpAddress>& requested) {
  if (requested.has_value()) return Take(set, owner, *requested);
  for (const Lease& lease : held) {
    if (sets_[set].Find(lease.address) != nullptr) {
      return absl::AlreadyExistsError(absl::StrFormat(
          "%s has been allocated to %s, duplicate allocation is not allowed",
          lease.address.ToString(), owner.container_id));
    }
  }
  return TakeNext(set, owner);
}

absl::StatusOr<std::vector<Allocation>> Allocator::Allocate(
    const LeaseOwner& owner, std::vector<IpAddress> requested) {
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> lock, store_.Lock());
  ASSIGN_OR_RETURN(const std::vector<Lease> held, store_.ListOf(owner));
  std::vector<Allocation> allocations;
  Rollback rollback;
  rollback.Add("release addresses", [&] {
    absl::Status status;
    for (const Allocation& allocation : allocations) {
      status.Update(store_.Release(allocation.address.address));
    }
    return status;
  });
  for (size_t i = 0; i < sets_.size(); ++i) {
    absl::StatusOr<Allocation> allocation = AllocateFrom(
        static_cast<int>(i), owner, held, TakeRequested(sets_[i], &requested));
    RETURN_IF_ERROR(allocation,
                    absl::StrFormat("failed to allocate for range %d", i));
    allocations.push_back(*allocation);
  }
  if (!requested.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "failed to allocate all requested IPs: %s",
        absl::StrJoin(requested, " ", [](std::string* out, const auto& ip) {
          out->append(ip.ToString());
        })));
  }
  rollback.Commit();
  return allocations;
}

absl::Status ReleaseLeases(LeaseStore* store, const LeaseOwner& owner) {
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> lock, store->Lock());
  ASSIGN_OR_RETURN(std::vector<Lease> own, store->ListOf(owner));
  absl::Status status;
  // A lease without an interface's name is from an old version; as in Go, it
  // only counts if there is none with it.
  bool exact = std::any_of(own.begin(), own.end(), [&](const Lease& lease) {
    return lease.owner == owner;
  });
  for (const Lease& lease : own) {
    if (exact && lease.owner != owner) continue;
    status.Update(store->Release(lease.address));
  }
  return status;
}

absl::Status ReleaseLeasesExcept(LeaseStore* store,
                                 const std::vector<LeaseOwner>& valid) {
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> lock, store->Lock());
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store->List());
  absl::Status status;
  for (const Lease& lease : leases) {
    bool keep =
        std::any_of(valid.begin(), valid.end(), [&](const LeaseOwner& owner) {
          return !LeasesOf({lease}, owner).empty();
        });
    if (!keep) status.Update(store->Release(lease.address));
  }
  return status;
}

absl::StatusOr<bool> HasFreeAddresses(LeaseStore* store,
                                      const std::vector<RangeSet>& sets) {
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> lock, store->Lock());
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store->List());
  std::set<IpAddress> taken;
  for (const Lease& lease : leases) taken.insert(lease.address);
  return std::all_of(sets.begin(), sets.end(), [&](const RangeSet& set) {
    bool free = false;
    ForEachCandidate(set, std::nullopt,
                     [&](const IpAddress& address, const Range&) {
                       free = !taken.contains(address);
                       return !free;
                     });
    return free;
  });
}

}  // namespace davit
