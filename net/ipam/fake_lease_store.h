#ifndef DAVIT_NET_IPAM_FAKE_LEASE_STORE_H_
#define DAVIT_NET_IPAM_FAKE_LEASE_STORE_H_

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "net/ipam/lease_store.h"

namespace davit {

// A LeaseStore in memory, for tests. Calls without the lock fail with
// FailedPrecondition. One thread at a time.
class FakeLeaseStore : public LeaseStore {
 public:
  // The Reserve after the next `count` ones fails with `status`.
  void FailReserveAfter(int count, absl::Status status);

  absl::StatusOr<std::unique_ptr<Held>> Lock() override;
  absl::StatusOr<std::vector<Lease>> List() override;
  absl::StatusOr<bool> Reserve(const IpAddress& address,
                               const LeaseOwner& owner, int set) override;
  absl::Status Release(const IpAddress& address) override;
  std::optional<IpAddress> LastReserved(int set) override;

 private:
  absl::Status RequireLock() const;

  bool locked_ = false;
  std::map<IpAddress, LeaseOwner> leases_;
  std::map<int, IpAddress> last_reserved_;
  int reserves_until_failure_ = -1;  // -1: none is to fail
  absl::Status failure_;
};

}  // namespace davit

#endif  // DAVIT_NET_IPAM_FAKE_LEASE_STORE_H_
