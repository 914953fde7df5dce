#ifndef DAVIT_CLI_PORT_FORWARDER_H_
#define DAVIT_CLI_PORT_FORWARDER_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cli/client.h"
#include "cli/net_flags.h"
#include "runtime/base/unique_fd.h"

namespace davit::cli {

// Listens on local ports and carries each connection to a port of a pod, by one
// PortForward stream. A thread for each connection and direction; what goes
// wrong with one connection is told on `err` and does not end the others.
class PortForwarder {
 public:
  // All outlive it.
  PortForwarder(Client* client, std::string pod, std::ostream& out,
                std::ostream& err)
      : client_(*client), pod_(std::move(pod)), out_(out), err_(err) {}
  ~PortForwarder();
  PortForwarder(const PortForwarder&) = delete;

  // Says "Forwarding from 127.0.0.1:8080 -> 80" for each address. "localhost"
  // is good if one of its two addresses is.
  absl::Status Listen(const std::vector<std::string>& addresses,
                      ForwardedPort port);

  // Accepts until `stop_fd` is readable; then ends all connections.
  absl::Status Run(int stop_fd);

 private:
  struct Listener {
    UniqueFd fd;
    ForwardedPort port;
  };

  absl::Status ListenOn(const std::string& ip, ForwardedPort& port);
  void Accept(const Listener& listener);
  void Serve(UniqueFd connection, ForwardedPort port);
  absl::Status Carry(int connection, ForwardedPort port);
  void Say(std::ostream& stream, const std::string& line);

  Client& client_;
  const std::string pod_;
  std::ostream& out_;
  std::ostream& err_;
  std::vector<Listener> listeners_;

  absl::Mutex mutex_;
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace davit::cli

#endif  // DAVIT_CLI_PORT_FORWARDER_H_
