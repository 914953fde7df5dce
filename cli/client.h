#ifndef DAVIT_CLI_CLIENT_H_
#define DAVIT_CLI_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "davit/v1/image_service.grpc.pb.h"
#include "davit/v1/network_service.grpc.pb.h"
#include "davit/v1/node_service.grpc.pb.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"

namespace davit::cli {

// One connection to an agent. Cheap to make: it connects at the first call.
class Client {
 public:
  // `address` as gRPC names it: "unix:///run/davit/davit.sock".
  explicit Client(const std::string& address);

  v1::PodService::Stub& pods() { return *pods_; }
  v1::ImageService::Stub& images() { return *images_; }
  v1::NetworkService::Stub& networks() { return *networks_; }
  v1::NodeService::Stub& node() { return *node_; }

  // The status of a call in absl's terms; an agent that cannot be reached is
  // named with its address.
  absl::Status ToStatus(const grpc::Status& status) const;

 private:
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PodService::Stub> pods_;
  std::unique_ptr<v1::ImageService::Stub> images_;
  std::unique_ptr<v1::NetworkService::Stub> networks_;
  std::unique_ptr<v1::NodeService::Stub> node_;
};

// "Error from server (NotFound): …", as kubectl words it; "error: …" for what
// went wrong on this side.
std::string ErrorForPeople(const absl::Status& status);

// An error of this side (bad flags, unreadable file), not the agent's.
absl::Status LocalError(absl::string_view message);

}  // namespace davit::cli

#endif  // DAVIT_CLI_CLIENT_H_
