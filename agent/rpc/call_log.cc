#include "agent/rpc/call_log.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/interceptor.h>

#include <utility>

#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "agent/rpc/grpc_status.h"

namespace davit {
namespace {

using ::grpc::experimental::InterceptionHookPoints;
using ::grpc::experimental::Interceptor;
using ::grpc::experimental::InterceptorBatchMethods;
using ::grpc::experimental::ServerInterceptorFactoryInterface;
using ::grpc::experimental::ServerRpcInfo;

// Lives as long as its call.
class CallLogInterceptor : public Interceptor {
 public:
  CallLogInterceptor(ServerRpcInfo* info, const PeerTable* peers,
                     const CallSink* sink)
      : info_(info), peers_(peers), sink_(sink), begun_(absl::Now()) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Begin();
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      End(methods->GetSendStatus());
    }
    methods->Proceed();
  }

 private:
  void Begin() {
    record_.peer = info_->server_context()->peer();
    if (peers_ != nullptr) record_.credentials = peers_->Find(record_.peer);
  }

  void End(const grpc::Status& status) {
    record_.method = std::string(absl::StripPrefix(info_->method(), "/"));
    record_.took = absl::Now() - begun_;
    record_.outcome = FromGrpcStatus(status);
    (*sink_)(record_);
  }

  ServerRpcInfo* const info_;
  const PeerTable* const peers_;
  const CallSink* const sink_;
  const absl::Time begun_;
  CallRecord record_;
};

class CallLog : public ServerInterceptorFactoryInterface {
 public:
  CallLog(const PeerTable* peers, CallSink sink)
      : peers_(peers), sink_(std::move(sink)) {}

  // gRPC takes ownership.
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new CallLogInterceptor(info, peers_, &sink_);
  }

 private:
  const PeerTable* const peers_;
  const CallSink sink_;
};

}  // namespace

std::unique_ptr<ServerInterceptorFactoryInterface> NewCallLog(
    const PeerTable* peers, CallSink sink) {
  return std::make_unique<CallLog>(peers, std::move(sink));
}

}  // namespace davit
