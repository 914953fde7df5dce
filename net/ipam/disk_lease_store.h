#ifndef DAVIT_NET_IPAM_DISK_LEASE_STORE_H_
#define DAVIT_NET_IPAM_DISK_LEASE_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/ipam/lease_index.h"
#include "net/ipam/lease_store.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Leases as files, in the format of Go's host-local plugin; both may work on
// one directory at the same time:
//
//   <data dir>/<network>/
//     lock                  flock(2)ed exclusively around every change
//     172.16.28.2           a lease: "<container id>\r\n<ifname>", mode 0600
//     last_reserved_ip.0    "172.16.28.2", per number of range set
//     .tmp-lease            a lease being written; after a crash, rubbish
//     .index                who holds what, see LeaseIndex; none while leases
//                           are few
//
// A lease is written first and linked to its name then, so a crash of ours
// never leaves an empty one. Go writes in place: an empty file that is found
// with the lock held is the rest of a crash, and free. Nothing is fsynced: a
// power failure ends all containers, and with them all leases.
//
// The directory may hold anything: what is not a regular file named by the
// canonical text of an address is no lease; nothing is followed or blocked on.
class DiskLeaseStore : public LeaseStore {
 public:
  static constexpr char kDefaultDataDir[] = "/var/lib/cni/networks";

  // Creates the directory if needed. InvalidArgument if `network` cannot be a
  // directory's name.
  static absl::StatusOr<std::unique_ptr<DiskLeaseStore>> Open(
      const std::string& data_dir, const std::string& network);
  // NotFound if the network never had a lease.
  static absl::StatusOr<std::unique_ptr<DiskLeaseStore>> OpenExisting(
      const std::string& data_dir, const std::string& network);

  absl::StatusOr<std::unique_ptr<Held>> Lock() override;
  absl::StatusOr<std::vector<Lease>> List() override;
  absl::StatusOr<std::vector<Lease>> ListOf(const LeaseOwner& owner) override;
  absl::StatusOr<bool> Reserve(const IpAddress& address,
                               const LeaseOwner& owner, int set) override;
  absl::Status Release(const IpAddress& address) override;
  std::optional<IpAddress> LastReserved(int set) override;

 private:
  class FileLock;

  DiskLeaseStore(std::string path, UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  // The content of a regular file, trimmed; empty for whatever else.
  std::string ReadSmallFile(const std::string& name) const;
  absl::Status WriteNewFile(const std::string& name, const std::string& content,
                            int flags);
  absl::Status LoadIndex();
  // Called before the lock goes.
  void SaveIndex();
  absl::StatusOr<bool> IsTaken(const std::string& name);
  absl::Status Remove(const std::string& name);

  std::string path_;
  UniqueFd directory_;
  // While the lock is held, once somebody has asked for an owner's leases.
  std::optional<LeaseIndex> index_;
  bool index_changed_ = false;
};

}  // namespace davit

#endif  // DAVIT_NET_IPAM_DISK_LEASE_STORE_H_
