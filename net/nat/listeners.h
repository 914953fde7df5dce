#ifndef DAVIT_NET_NAT_LISTENERS_H_
#define DAVIT_NET_NAT_LISTENERS_H_

#include <vector>

#include "absl/status/status.h"
#include "net/nat/port_forward.h"

namespace davit {

// Fails if a socket of the calling thread's network namespace listens where one
// of `forwards` would take its connections away: FailedPrecondition, with the
// process's name and pid as far as /proc shows them. What overlaps is as with
// bind(2): 0.0.0.0 and dual-stack :: with every address. Sees TCP sockets that
// listen and UDP sockets that are bound and not connected, over sock_diag(7);
// SCTP too if the kernel can tell.
absl::Status CheckNobodyListens(const std::vector<PortForward>& forwards);

}  // namespace davit

#endif  // DAVIT_NET_NAT_LISTENERS_H_
