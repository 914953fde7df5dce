#ifndef DAVIT_NET_IPAM_LEASE_STORE_H_
#define DAVIT_NET_IPAM_LEASE_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"

namespace davit {

// Who holds an address: one attachment of one container.
struct LeaseOwner {
  std::string container_id;
  std::string ifname;
  bool operator==(const LeaseOwner&) const = default;
};

struct Lease {
  IpAddress address;
  // An empty ifname (leases of old versions of Go's host-local) stands for all
  // interfaces of the container.
  LeaseOwner owner;
  bool operator==(const Lease&) const = default;
};

// The reservations of one network, shared by all processes of a node. Every
// call but Lock needs the lock. DiskLeaseStore is the real one, FakeLeaseStore
// the one for tests.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;

  // Holds the store's lock until destroyed.
  class Held {
   public:
    virtual ~Held() = default;
  };
  // Waits for the exclusive lock.
  virtual absl::StatusOr<std::unique_ptr<Held>> Lock() = 0;

  // All leases, in no order. What is no lease is passed over.
  virtual absl::StatusOr<std::vector<Lease>> List() = 0;

  // LeasesOf(List(), owner), but need not read all the others.
  virtual absl::StatusOr<std::vector<Lease>> ListOf(const LeaseOwner& owner);

  // False if the address is held already. Remembers it as the last reserved
  // one of range set `set`.
  virtual absl::StatusOr<bool> Reserve(const IpAddress& address,
                                       const LeaseOwner& owner, int set) = 0;

  // OK if there is no lease.
  virtual absl::Status Release(const IpAddress& address) = 0;

  // What Reserve remembered last for this range set, or nullopt. A hint: it
  // may be of another configuration.
  virtual std::optional<IpAddress> LastReserved(int set) = 0;
};

// The leases of `owner` among `leases`: its own, and those of its container
// that name no interface.
std::vector<Lease> LeasesOf(const std::vector<Lease>& leases,
                            const LeaseOwner& owner);

}  // namespace davit

#endif  // DAVIT_NET_IPAM_LEASE_STORE_H_
