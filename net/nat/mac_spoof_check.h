#ifndef DAVIT_NET_NAT_MAC_SPOOF_CHECK_H_
#define DAVIT_NET_NAT_MAC_SPOOF_CHECK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/nat/mac_spoof_messages.h"
#include "net/netlink/mac_address.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// Drops frames that come into a bridge by a port under another MAC address than
// the port's pod has, by nf_tables over netlink; no program is run. All checked
// ports of a node share one table, as `nft list ruleset` shows it:
//
//   table bridge davit {
//     set ports { type ifname; elements = { "veth1" comment "ID eth0" } }
//     set addresses { type ifname . ether_addr;
//       elements = { "veth1" . 02:00:00:00:00:01 comment "ID eth0" } }
//     chain prerouting { type filter hook prerouting priority dstnat;
//       iifname @ports iifname . ether saddr != @addresses drop
//     }
//   }
//
// The owner is a text of at most 127 bytes, "<container id> <ifname>". Each
// change is one nfnetlink transaction. The table comes with its first port and
// goes with its last one, also when several processes add and remove at the
// same time. One thread at a time.
class MacSpoofCheck {
 public:
  // In the calling thread's network namespace. A process that removes pays
  // up to an RCU grace period (15 ms) when the object is destroyed, unless
  // that time has passed already: keep it while there is other work.
  static absl::StatusOr<MacSpoofCheck> Open();

  // From now on only frames from `mac` pass the port `ifname`. What an earlier
  // port of that name has left over after a crash is replaced.
  absl::Status Add(const std::string& ifname, const MacAddress& mac,
                   const std::string& owner);

  // Ends it for the ports of `owner`; OK if there are none.
  absl::Status Remove(const std::string& owner);

  absl::StatusOr<bool> Contains(const std::string& ifname,
                                const MacAddress& mac,
                                const std::string& owner);

  // The owners of all ports, each once, sorted; none if there is no table.
  absl::StatusOr<std::vector<std::string>> ListOwners();

 private:
  explicit MacSpoofCheck(NlSocket socket) : socket_(std::move(socket)) {}

  // None if there is no table.
  absl::StatusOr<std::vector<CheckedPort>> List();
  // NotFound if one of them has gone meanwhile.
  absl::Status RemovePorts(const std::vector<CheckedPort>& ports);
  absl::Status RemoveTableIfUnused();

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_MAC_SPOOF_CHECK_H_
