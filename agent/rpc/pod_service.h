#ifndef DAVIT_AGENT_RPC_POD_SERVICE_H_
#define DAVIT_AGENT_RPC_POD_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "agent/pod/pod_manager.h"
#include "agent/rpc/log_read_function.h"

namespace davit {

struct PodServiceOptions {
  // What a spec gets that does not say it itself; see pod.proto.
  bool host_users = true;
  // Whether all its callers are root of the node: others must not show the
  // node's files to a pod.
  bool for_root = false;
};

// davit.v1.PodService over a PodManager, as proto/davit/v1/pod_service.proto
// promises: converts and validates, decides nothing. `manager` outlives the
// server that the service is registered with. Streams end soon after their
// client has gone.
std::unique_ptr<grpc::Service> NewPodService(
    PodManager* manager, LogReadFunction read_logs,
    const PodServiceOptions& options = {});

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_POD_SERVICE_H_
