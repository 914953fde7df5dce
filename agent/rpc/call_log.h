#ifndef DAVIT_AGENT_RPC_CALL_LOG_H_
#define DAVIT_AGENT_RPC_CALL_LOG_H_

#include <grpcpp/support/server_interceptor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/rpc/peer_table.h"

namespace davit {

// One finished call.
struct CallRecord {
  std::string method;  // "davit.v1.PodService/RunPod"
  std::string peer;    // gRPC's name of the connection
  std::optional<PeerCredentials> credentials;
  absl::Duration took;
  absl::Status outcome;
};

using CallSink = std::function<void(const CallRecord&)>;

// An interceptor for grpc::ServerBuilder that gives `sink` each call of a
// method that exists, health and reflection included, when its status is about
// to be sent. `sink` is called on gRPC's threads, several at once. `peers` may
// be null; it outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
NewCallLog(const PeerTable* peers, CallSink sink);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_CALL_LOG_H_
