#include "agent/rpc/network_service.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/rpc/grpc_status.h"
#include "davit/v1/network_service.grpc.pb.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

using ::grpc::ServerContext;

template <typename List, typename Repeated>
void Assign(const List& from, Repeated* to) {
  to->Assign(from.begin(), from.end());
}

std::string ErrorText(const absl::Status& status) {
  return status.ok() ? "" : std::string(status.message());
}

void ToProto(const NetworkInfo& from, v1::Network* to) {
  to->set_name(from.name);
  to->set_file(from.file);
  to->set_cni_version(from.cni_version);
  Assign(from.plugins, to->mutable_plugins());
  to->set_error(from.error);
}

void ToProto(const PluginInfo& from, v1::NetworkPlugin* to) {
  to->set_type(from.type);
  to->set_path(from.path);
  Assign(from.versions, to->mutable_versions());
  to->set_error(from.error);
}

void ToProto(const AddressPoolInfo& from, v1::AddressPool* to) {
  to->set_subnet(from.subnet);
  to->set_capacity(from.capacity);
  to->set_used(from.used);
}

class NetworkService final : public v1::NetworkService::Service {
 public:
  NetworkService(PodManager* manager, PodNetwork* network)
      : manager_(*manager), network_(*network) {}

  grpc::Status ListNetworks(ServerContext*, const v1::ListNetworksRequest*,
                            v1::ListNetworksResponse* response) override {
    for (const NetworkInfo& network : network_.ListNetworks()) {
      ToProto(network, response->add_networks());
    }
    return grpc::Status::OK;
  }

  grpc::Status GetNetwork(ServerContext*, const v1::GetNetworkRequest* request,
                          v1::GetNetworkResponse* response) override {
    return ToGrpcStatus(Describe(request->network(), *response));
  }

  grpc::Status CheckPod(ServerContext*, const v1::CheckPodRequest* request,
                        v1::CheckPodResponse* response) override {
    return ToGrpcStatus(Check(request->pod(), *response));
  }

 private:
  absl::Status Describe(const std::string& name,
                        v1::GetNetworkResponse& response) {
    if (name.empty()) return absl::InvalidArgumentError("network: is required");
    ASSIGN_OR_RETURN(NetworkDetail detail, network_.DescribeNetwork(name));
    ToProto(detail.info, response.mutable_network());
    response.set_config(detail.config);
    for (const PluginInfo& plugin : detail.plugins) {
      ToProto(plugin, response.add_plugins());
    }
    response.set_status_error(ErrorText(detail.status));
    AddPods(detail.attached_pod_ids, response);
    for (const AddressPoolInfo& pool : detail.pools) {
      ToProto(pool, response.add_pools());
    }
    return absl::OkStatus();
  }

  void AddPods(const std::vector<std::string>& ids,
               v1::GetNetworkResponse& response) {
    std::map<std::string, std::string> names;
    for (const Pod& pod : manager_.List().pods) names[pod.id] = pod.spec.name;
    for (const std::string& id : ids) {
      v1::NetworkPod* pod = response.add_pods();
      pod->set_uid(id);
      pod->set_name(names[id]);
    }
  }

  absl::Status Check(const std::string& pod, v1::CheckPodResponse& response) {
    if (pod.empty()) return absl::InvalidArgumentError("pod: is required");
    ASSIGN_OR_RETURN(std::vector<NetworkCheck> checks,
                     manager_.CheckNetworks(pod));
    for (const NetworkCheck& check : checks) {
      v1::NetworkCheck* to = response.add_checks();
      to->set_network(check.network);
      to->set_interface(check.interface);
      to->set_error(ErrorText(check.outcome));
    }
    return absl::OkStatus();
  }

  PodManager& manager_;
  PodNetwork& network_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewNetworkService(PodManager* manager,
                                                 PodNetwork* network) {
  return std::make_unique<NetworkService>(manager, network);
}

}  // namespace davit
