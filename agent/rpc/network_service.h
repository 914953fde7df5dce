#ifndef DAVIT_AGENT_RPC_NETWORK_SERVICE_H_
#define DAVIT_AGENT_RPC_NETWORK_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "agent/pod/pod_manager.h"
#include "net/pod_network.h"

namespace davit {

// davit.v1.NetworkService, as proto/davit/v1/network_service.proto promises.
// The pointers outlive the server that the service is registered with.
std::unique_ptr<grpc::Service> NewNetworkService(PodManager* manager,
                                                 PodNetwork* network);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_NETWORK_SERVICE_H_
