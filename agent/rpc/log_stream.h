#ifndef DAVIT_AGENT_RPC_LOG_STREAM_H_
#define DAVIT_AGENT_RPC_LOG_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include "absl/status/status.h"
#include "agent/pod/pod_manager.h"
#include "agent/rpc/log_read_function.h"
#include "davit/v1/pod_service.pb.h"

namespace davit {

// PodService.GetLogs: writes log lines, many to a message where there are many,
// until the end or until the client is gone (Cancelled).
absl::Status StreamLogs(PodManager& manager, const LogReadFunction& read_logs,
                        const v1::GetLogsRequest& request,
                        const grpc::ServerContext& context,
                        grpc::ServerWriter<v1::GetLogsResponse>& writer);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_LOG_STREAM_H_
