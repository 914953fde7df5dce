#ifndef DAVIT_TESTS_SUPPORT_PEER_SERVER_H_
#define DAVIT_TESTS_SUPPORT_PEER_SERVER_H_

#include <string>
#include <thread>

#include "runtime/base/unique_fd.h"

namespace davit::testing {

// A TCP server in another network namespace that tells each client which
// address it sees: "you are 192.0.2.1\n", then closes. Ends with its owner.
class PeerServer {
 public:
  PeerServer(const std::string& netns_path, const std::string& address);
  PeerServer(const PeerServer&) = delete;
  ~PeerServer();

  int port() const { return port_; }

 private:
  void Serve();

  UniqueFd listener_, stop_read_, stop_write_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_PEER_SERVER_H_
