#include "agent/rpc/network_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "agent/rpc/grpc_status.h"
#include "agent/rpc/node_service.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "davit/v1/network_service.grpc.pb.h"
#include "davit/v1/node_service.grpc.pb.h"
#include "net/fake_pod_network.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

class NetworkServiceTest : public ::testing::Test {
 protected:
  NetworkServiceTest()
      : network_service_(NewNetworkService(&manager_, &network_)),
        node_service_(NewNodeService({}, &manager_, &network_)) {
    grpc::ServerBuilder builder;
    builder.RegisterService(network_service_.get());
    builder.RegisterService(node_service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::NetworkService::NewStub(server_->InProcessChannel({}));
    node_ = v1::NodeService::NewStub(server_->InProcessChannel({}));
  }

  ~NetworkServiceTest() override { server_->Shutdown(); }

  PodSpec SpecOf(const std::string& name) {
    PodSpec spec;
    spec.name = name;
    return spec;
  }

  FakePodManager manager_;
  FakePodNetwork network_{{"default", "back"}};
  std::unique_ptr<grpc::Service> network_service_, node_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::NetworkService::Stub> stub_;
  std::unique_ptr<v1::NodeService::Stub> node_;
};

TEST_F(NetworkServiceTest, ListsNetworks) {
  v1::ListNetworksResponse response;
  grpc::ClientContext rpc;
  ASSERT_TRUE(stub_->ListNetworks(&rpc, {}, &response).ok());
  ASSERT_EQ(response.networks_size(), 2);
  EXPECT_EQ(response.networks(0).name(), "default");
  EXPECT_EQ(response.networks(0).plugins(0), "ptp");
  EXPECT_EQ(response.networks(1).name(), "back");
}

TEST_F(NetworkServiceTest, DescribesANetworkWithItsPodsByName) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager_.Run(SpecOf("web")));
  ASSERT_THAT(network_.CreateNetns(pod.id), IsOk());
  PodNetworkRequest request;
  request.pod_id = pod.id;
  request.networks = {{"default", "eth0"}};
  ASSERT_THAT(network_.Attach(request), IsOk());
  v1::GetNetworkRequest get;
  get.set_network("default");
  v1::GetNetworkResponse response;
  grpc::ClientContext rpc;
  ASSERT_TRUE(stub_->GetNetwork(&rpc, get, &response).ok());
  EXPECT_EQ(response.network().name(), "default");
  ASSERT_EQ(response.pods_size(), 1);
  EXPECT_EQ(response.pods(0).uid(), pod.id);
  EXPECT_EQ(response.pods(0).name(), "web");
  EXPECT_EQ(response.status_error(), "");
}

TEST_F(NetworkServiceTest, UnknownNetworkIsNotFound) {
  v1::GetNetworkRequest get;
  get.set_network("typo");
  v1::GetNetworkResponse response;
  grpc::ClientContext rpc;
  EXPECT_THAT(FromGrpcStatus(stub_->GetNetwork(&rpc, get, &response)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("typo")));
  grpc::ClientContext empty;
  EXPECT_THAT(
      FromGrpcStatus(stub_->GetNetwork(&empty, {}, &response)),
      StatusIs(absl::StatusCode::kInvalidArgument, "network: is required"));
}

TEST_F(NetworkServiceTest, FindingsOfACheckAreInTheAnswer) {
  ASSERT_THAT(manager_.Run(SpecOf("web")), IsOk());
  manager_.SetChecks({{"default", "eth0", absl::OkStatus()},
                      {"back", "eth1", absl::InternalError("no route")}});
  v1::CheckPodRequest request;
  request.set_pod("web");
  v1::CheckPodResponse response;
  grpc::ClientContext rpc;
  ASSERT_TRUE(stub_->CheckPod(&rpc, request, &response).ok());
  ASSERT_EQ(response.checks_size(), 2);
  EXPECT_EQ(response.checks(0).error(), "");
  EXPECT_EQ(response.checks(1).network(), "back");
  EXPECT_EQ(response.checks(1).interface(), "eth1");
  EXPECT_EQ(response.checks(1).error(), "no route");
}

TEST_F(NetworkServiceTest, GarbageHasItsOutcomes) {
  manager_.SetGarbage({{"lease", "172.16.28.9", "no pod", absl::OkStatus()},
                       {"link", "veth7", "no pod", absl::InternalError("no")}});
  v1::CollectGarbageRequest request;
  request.set_dry_run(true);
  v1::CollectGarbageResponse dry, real, again;
  grpc::ClientContext rpc1, rpc2, rpc3;
  ASSERT_TRUE(node_->CollectGarbage(&rpc1, request, &dry).ok());
  ASSERT_TRUE(node_->CollectGarbage(&rpc2, {}, &real).ok());
  ASSERT_TRUE(node_->CollectGarbage(&rpc3, {}, &again).ok());
  EXPECT_EQ(dry.SerializeAsString(), real.SerializeAsString());
  EXPECT_EQ(again.items_size(), 0);
  ASSERT_EQ(real.items_size(), 2);
  EXPECT_EQ(real.items(0).kind(), "lease");
  EXPECT_EQ(real.items(0).name(), "172.16.28.9");
  EXPECT_EQ(real.items(0).reason(), "no pod");
  EXPECT_EQ(real.items(0).error(), "");
  EXPECT_EQ(real.items(1).error(), "no");
}

}  // namespace
}  // namespace davit
