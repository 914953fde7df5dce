#ifndef DAVIT_AGENT_RPC_PORT_FORWARD_STREAM_H_
#define DAVIT_AGENT_RPC_PORT_FORWARD_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include "agent/pod/pod_manager.h"
#include "davit/v1/pod_service.pb.h"

namespace davit {

// PodService.PortForward: one connection, from its first message to its status.
//
// As in exec_stream.h, gRPC's threads only pass messages and a thread of the
// call's own dials and moves bytes. Both directions are bounded: the pod's data
// is read when the client has taken what came before, the client's only while
// little of it waits for the pod. Each direction ends on its own.
//
// The object deletes itself when its call is over; `manager` outlives the
// server.
grpc::ServerBidiReactor<v1::PortForwardRequest, v1::PortForwardResponse>*
NewPortForwardStream(PodManager* manager);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_PORT_FORWARD_STREAM_H_
