#ifndef DAVIT_NET_PLUGINS_TRAFFIC_H_
#define DAVIT_NET_PLUGINS_TRAFFIC_H_

#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/netlink/netns_fixture.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {

enum class Transport { kTcp, kUdp };

// Serves on a port of a namespace (all its addresses, one family) as long as
// the object lives: tells each client "<name> <client's address>".
class NamingServer {
 public:
  NamingServer(const TestNetns& netns, Transport transport, bool v6,
               uint16_t port, std::string name);
  ~NamingServer();

 private:
  void Serve(Transport transport, const std::string& name);

  UniqueFd socket_;
  UniqueFd stop_;
  std::thread thread_;
};

// A client in a namespace. Asks the server at address:port, and returns its
// answer; DeadlineExceeded if there is none in time.
class Client {
 public:
  Client(const TestNetns& netns, Transport transport)
      : netns_(netns), transport_(transport) {}
  // Datagrams leave from one port and so belong to one flow.
  Client(const TestNetns& netns, uint16_t from_port)
      : netns_(netns), transport_(Transport::kUdp), from_port_(from_port) {}

  absl::StatusOr<std::string> Ask(absl::string_view address,
                                  uint16_t port) const;

 private:
  absl::StatusOr<std::string> AskHere(absl::string_view address,
                                      uint16_t port) const;

  const TestNetns& netns_;
  Transport transport_;
  uint16_t from_port_ = 0;
};

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_TRAFFIC_H_
