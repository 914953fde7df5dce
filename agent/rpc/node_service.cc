#include "agent/rpc/node_service.h"

#include <grpcpp/grpcpp.h>

#include "agent/rpc/convert.h"
#include "agent/rpc/node_facts.h"
#include "davit/v1/node_service.grpc.pb.h"

namespace davit {
namespace {

using ::grpc::ServerContext;

constexpr char kApiVersion[] = "davit/v1";

void ToProto(const NodeFacts& from, v1::GetInfoResponse* to) {
  to->set_hostname(from.hostname);
  to->set_kernel(from.kernel);
  to->set_os(from.os);
  to->set_architecture(from.architecture);
  to->set_cgroup_layout(from.cgroup_layout);
  to->set_cpus(from.cpus);
  to->set_memory_bytes(from.memory_bytes);
}

void ToProto(const NetworkInfo& from, v1::NetworkInfo* to) {
  to->set_name(from.name);
  to->set_file(from.file);
  to->set_cni_version(from.cni_version);
  to->mutable_plugins()->Assign(from.plugins.begin(), from.plugins.end());
  to->set_error(from.error);
}

void ToProto(const RecoveryReport& from, v1::RecoveryReport* to) {
  to->set_adopted(from.adopted);
  to->set_ended(from.ended);
  to->set_rolled_back(from.rolled_back);
  to->mutable_removed()->Assign(from.removed.begin(), from.removed.end());
  to->mutable_failed()->Assign(from.failed.begin(), from.failed.end());
}

class NodeService final : public v1::NodeService::Service {
 public:
  NodeService(const NodeServiceOptions& options, PodManager* manager,
              PodNetwork* network)
      : options_(options), manager_(*manager), network_(*network) {}

  grpc::Status GetVersion(ServerContext*, const v1::GetVersionRequest*,
                          v1::GetVersionResponse* response) override {
    response->set_version(options_.version);
    response->set_api_version(kApiVersion);
    response->set_git_commit(options_.commit);
    response->set_grpc_version(grpc::Version());
    return grpc::Status::OK;
  }

  grpc::Status GetInfo(ServerContext*, const v1::GetInfoRequest*,
                       v1::GetInfoResponse* response) override {
    ToProto(ReadNodeFacts(), response);
    *response->mutable_agent_start_time() = TimeToProto(options_.start_time);
    response->set_root_dir(options_.root_dir);
    response->set_state_dir(options_.state_dir);
    for (const NetworkInfo& network : network_.ListNetworks()) {
      ToProto(network, response->add_networks());
    }
    ToProto(manager_.recovery_report(), response->mutable_recovery());
    return grpc::Status::OK;
  }

  grpc::Status CollectGarbage(ServerContext*,
                              const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override {
    for (const GarbageItem& item :
         manager_.CollectGarbage(request->dry_run())) {
      v1::GarbageItem* to = response->add_items();
      to->set_kind(item.kind);
      to->set_name(item.name);
      to->set_reason(item.reason);
      to->set_error(std::string(item.outcome.message()));
    }
    return grpc::Status::OK;
  }

 private:
  const NodeServiceOptions options_;
  PodManager& manager_;
  PodNetwork& network_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewNodeService(const NodeServiceOptions& options,
                                              PodManager* manager,
                                              PodNetwork* network) {
  return std::make_unique<NodeService>(options, manager, network);
}

}  // namespace davit
