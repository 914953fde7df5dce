#ifndef DAVIT_NET_NAT_CONNTRACK_H_
#define DAVIT_NET_NAT_CONNTRACK_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// One flow of UDP datagrams as the kernel tracks it.
struct UdpFlow {
  IpAddress destination;  // to which the client sends
  IpAddress answerer;     // who answers it, after address translation
  uint16_t answerer_port = 0;
};

// The kernel's table of connections, over ctnetlink
// (linux/netfilter/nfnetlink_conntrack.h).
//
// Address translation is decided by a flow's first packet. A client that keeps
// sending from one port keeps its flow alive for ever, and with it the decision
// of the time when nobody, or somebody else, had the port.
//
// One thread at a time.
class Conntrack {
 public:
  // In the calling thread's network namespace.
  static absl::StatusOr<Conntrack> Open();

  // Forgets the UDP flows of one address family to `port` that are `stale`.
  // Returns how many. The kernel walks through its whole table (1-5 ms).
  absl::StatusOr<int> DeleteUdpFlows(
      bool v6, uint16_t port, const std::function<bool(const UdpFlow&)>& stale);

 private:
  explicit Conntrack(NlSocket socket) : socket_(std::move(socket)) {}

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_CONNTRACK_H_
