#ifndef DAVIT_NET_IPAM_LEASE_INDEX_H_
#define DAVIT_NET_IPAM_LEASE_INDEX_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/ipam/lease_store.h"

namespace davit {

// Who holds what in a directory of leases, in one file, so that a thousand
// leases need not be read to find those of one container:
//
//   .index    "10.0.0.2 <container id> <ifname>\n" …, "end <stamp>\n"
//
// Other programs (Go's host-local) change the directory without knowing of it.
// So its modification time is set to one that no change can have, a little
// while ago, and that is the stamp: whoever makes or removes a file after that
// makes the index invalid. A file that is rewritten in place does not, so what
// is found must be looked at. Only a hint, nothing is fsynced: a torn or stale
// one is not used.
//
// A value, for one thread. All calls need the lock of the directory.
class LeaseIndex {
 public:
  // Below this many leases reading them all is as fast.
  static constexpr size_t kWorthwhile = 64;

  // The index of the directory, or NotFound unless there is a valid one.
  static absl::StatusOr<LeaseIndex> Read(int directory);
  // A new one.
  static LeaseIndex Of(const std::vector<Lease>& leases);

  // The leases of one container.
  std::vector<Lease> Find(const std::string& container_id) const;
  void Add(const Lease& lease);
  void Remove(const IpAddress& address);
  size_t size() const { return size_; }

  // Puts it into the directory and sets the directory's time.
  absl::Status Write(int directory) const;

 private:
  std::string lines_;
  size_t size_ = 0;
};

}  // namespace davit

#endif  // DAVIT_NET_IPAM_LEASE_INDEX_H_
