#ifndef DAVIT_AGENT_RPC_EXEC_STREAM_H_
#define DAVIT_AGENT_RPC_EXEC_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include "agent/pod/pod_manager.h"
#include "davit/v1/pod_service.pb.h"

namespace davit {

// PodService.Exec: one call, from its first message to its status.
//
// gRPC's threads only pass messages; a thread of the call's own starts the
// command and moves bytes. Both directions are bounded: standard input is read
// from the client only while little of it waits for the command, and the
// command's output only when the client has taken what came before. The exit
// code is sent when the command's output has been sent. A command whose client
// goes away is killed.
//
// The object deletes itself when its call is over; `manager` outlives the
// server.
grpc::ServerBidiReactor<v1::ExecRequest, v1::ExecResponse>* NewExecStream(
    PodManager* manager);

// PodService.Attach: the same with a console, which has no exit code.
grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* NewAttachStream(
    PodManager* manager);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_EXEC_STREAM_H_
