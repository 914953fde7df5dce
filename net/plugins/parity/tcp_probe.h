#ifndef DAVIT_NET_PLUGINS_PARITY_TCP_PROBE_H_
#define DAVIT_NET_PLUGINS_PARITY_TCP_PROBE_H_

#include <cstdint>
#include <string>

#include "net/netlink/ip_address.h"
#include "net/netlink/netns_fixture.h"

namespace davit::testing {

// A connection by TCP from one namespace to an address and port that a server
// in another one, listening on all its addresses, is expected to answer.
struct TcpProbe {
  const TestNetns* client;
  const TestNetns* server;
  IpAddress to;
  uint16_t port = 0;
  uint16_t server_port = 0;
};

// The client's address as the server sees it, or the error's text.
std::string ProbeTcp(const TcpProbe& probe);

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_PARITY_TCP_PROBE_H_
