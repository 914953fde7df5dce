#ifndef DAVIT_AGENT_RPC_WATCH_STREAM_H_
#define DAVIT_AGENT_RPC_WATCH_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <map>
#include <string>

#include "absl/status/status.h"
#include "agent/pod/pod_manager.h"
#include "agent/rpc/cursor.h"
#include "davit/v1/pod_service.pb.h"

namespace davit {

// True if every wanted label is there with that value.
bool MatchesLabels(
    const std::map<std::string, std::string>& labels,
    const google::protobuf::Map<std::string, std::string>& wanted);

// PodService.WatchPods: writes events until the client goes away (Cancelled) or
// the manager ends the subscription (Unavailable, OutOfRange).
absl::Status StreamPods(PodManager& manager, const CursorCodec& cursors,
                        const v1::WatchPodsRequest& request,
                        const grpc::ServerContext& context,
                        grpc::ServerWriter<v1::WatchPodsResponse>& writer);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_WATCH_STREAM_H_
