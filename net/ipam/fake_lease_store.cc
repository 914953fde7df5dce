#include "net/ipam/fake_lease_store.h"

#include <utility>

#include "runtime/base/status_macros.h"

namespace davit {
namespace {

class FakeLock : public LeaseStore::Held {
 public:
  explicit FakeLock(bool* locked) : locked_(*locked) { locked_ = true; }
  ~FakeLock() override { locked_ = false; }

 private:
  bool& locked_;
};

}  // namespace

void FakeLeaseStore::FailReserveAfter(int count, absl::Status status) {
  reserves_until_failure_ = count;
  failure_ = std::move(status);
}

absl::Status FakeLeaseStore::RequireLock() const {
  return locked_ ? absl::OkStatus()
                 : absl::FailedPreconditionError("the store is not locked");
}

absl::StatusOr<std::unique_ptr<LeaseStore::Held>> FakeLeaseStore::Lock() {
  if (locked_) return absl::FailedPreconditionError("the store is locked");
  return std::make_unique<FakeLock>(&locked_);
}

absl::StatusOr<std::vector<Lease>> FakeLeaseStore::List() {
  RETURN_IF_ERROR(RequireLock());
  std::vector<Lease> leases;
  for (const auto& [address, owner] : leases_) {
    leases.push_back({address, owner});
  }
  return leases;
}

absl::StatusOr<bool> FakeLeaseStore::Reserve(const IpAddress& address,
                                             const LeaseOwner& owner, int set) {
  RETURN_IF_ERROR(RequireLock());
  if (reserves_until_failure_ >= 0 && reserves_until_failure_-- == 0) {
    return failure_;
  }
  if (!leases_.emplace(address, owner).second) return false;
  last_reserved_[set] = address;
  return true;
}

absl::Status FakeLeaseStore::Release(const IpAddress& address) {
  RETURN_IF_ERROR(RequireLock());
  leases_.erase(address);
  return absl::OkStatus();
}

std::optional<IpAddress> FakeLeaseStore::LastReserved(int set) {
  auto found = last_reserved_.find(set);
  if (found == last_reserved_.end()) return std::nullopt;
  return found->second;
}

}  // namespace davit
