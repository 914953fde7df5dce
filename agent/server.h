#ifndef DAVIT_AGENT_SERVER_H_
#define DAVIT_AGENT_SERVER_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/rpc/call_log.h"
#include "agent/rpc/peer_table.h"
#include "agent/unix_listener.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Whose calls a server takes.
enum class Caller {
  kRoot,   // root of the node, or the agent's own user
  kOther,  // who else may use the socket: its group
};

// Makes the services for the calls of one kind of caller.
using ServiceFactory =
    std::function<std::vector<std::unique_ptr<grpc::Service>>(Caller)>;

struct ServerOptions {
  std::string socket_path;      // absolute
  std::string group = "davit";  // may use the socket, if there is such a group
  CallSink on_call;             // hears of each call; see NewCallLog
};

// Serves gRPC on a unix socket, with the health and reflection services. It
// accepts connections itself and hands them to gRPC, because only so can the
// callers' credentials be known (gRPC tells nobody its descriptors) and the
// socket be made with the right owner and mode. A connection's credentials
// decide once, when it is accepted, which of two gRPC servers gets it: what a
// call may do is a property of the services that it reaches.
//
//   ASSIGN_OR_RETURN(auto server, Server::Start(options, factory));
//   …
//   server->StopAccepting();
//   server->Shutdown();
class Server {
 public:
  // FailedPrecondition if the socket is another agent's.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      ServerOptions options, const ServiceFactory& services);

  // Both of the below, if they have not been called.
  ~Server();

  // Removes the socket and turns health to NOT_SERVING; calls on connections
  // that exist go on.
  void StopAccepting();

  // Cancels the calls under way, after a moment in which they may end by
  // themselves, and waits for their handlers. Call StopAccepting first.
  void Shutdown();

 private:
  // One gRPC server with its services.
  struct Endpoint {
    std::vector<std::unique_ptr<grpc::Service>> services;
    std::unique_ptr<grpc::Server> server;
  };

  Server(UnixListener listener, UniqueFd stop);

  absl::StatusOr<Endpoint> Build(
      std::vector<std::unique_ptr<grpc::Service>> services,
      const CallSink& on_call);
  void AcceptLoop();
  bool AcceptOne();

  std::optional<UnixListener> listener_;
  const UniqueFd stop_;  // an eventfd(2), readable: stop accepting
  PeerTable peers_;
  Endpoint root_, other_;
  std::thread accepter_;
  bool shut_down_ = false;
};

}  // namespace davit

#endif  // DAVIT_AGENT_SERVER_H_
