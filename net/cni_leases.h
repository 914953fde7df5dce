#ifndef DAVIT_NET_CNI_LEASES_H_
#define DAVIT_NET_CNI_LEASES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/cni/network_config.h"
#include "net/ipam/lease_store.h"
#include "net/pod_network.h"

namespace davit {

// The host-local leases of networks, read from outside of the plugin: in the
// directories that the configuration names, ours and other runtimes' alike.

// A directory of leases: <data_dir>/<network>.
struct CniLeaseDir {
  std::string data_dir;
  std::string network;
  auto operator<=>(const CniLeaseDir&) const = default;
};

// Where the list's plugins keep leases: none for other IPAM than host-local.
std::vector<CniLeaseDir> LeaseDirsOf(const CniNetworkConfig& network);

// All leases of a directory; none if it does not exist. Waits for its lock.
absl::StatusOr<std::vector<Lease>> ListLeases(const CniLeaseDir& dir);

// Releases the address if `owner` holds it still. OK if not.
absl::Status ReleaseLease(const CniLeaseDir& dir, const Lease& lease);

// The ranges that the list gives addresses from, and how far they are used.
// InvalidArgument if the plugin would not accept them.
absl::StatusOr<std::vector<AddressPoolInfo>> AddressPoolsOf(
    const CniNetworkConfig& network);

}  // namespace davit

#endif  // DAVIT_NET_CNI_LEASES_H_
