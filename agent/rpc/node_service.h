#ifndef DAVIT_AGENT_RPC_NODE_SERVICE_H_
#define DAVIT_AGENT_RPC_NODE_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/pod/pod_manager.h"
#include "net/pod_network.h"

namespace davit {

struct NodeServiceOptions {
  std::string version, commit;      // of the agent
  std::string root_dir, state_dir;  // where it keeps things
  absl::Time start_time;            // of the agent
};

// davit.v1.NodeService, as proto/davit/v1/node_service.proto promises. The
// pointers outlive the server that the service is registered with.
std::unique_ptr<grpc::Service> NewNodeService(const NodeServiceOptions& options,
                                              PodManager* manager,
                                              PodNetwork* network);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_NODE_SERVICE_H_
