#ifndef DAVIT_AGENT_RPC_GRPC_STATUS_H_
#define DAVIT_AGENT_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace davit {

// The same code (both sides use google.rpc.Code's numbers) and message. gRPC
// sends the message as an HTTP/2 trailer, percent-encoded, and clients refuse
// more than 8 KiB of trailers with an error of their own: of a message that
// would come near that, the middle is left out and the sentence says so.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_GRPC_STATUS_H_
