#include "cli/client.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace davit::cli {
namespace {

constexpr char kFromServer[] = "davit.dev/from-server";

const char* Reason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return "NotFound";
    case absl::StatusCode::kAlreadyExists:
      return "AlreadyExists";
    case absl::StatusCode::kInvalidArgument:
      return "Invalid";
    case absl::StatusCode::kFailedPrecondition:
      return "FailedPrecondition";
    case absl::StatusCode::kPermissionDenied:
      return "Forbidden";
    case absl::StatusCode::kDeadlineExceeded:
      return "Timeout";
    case absl::StatusCode::kUnavailable:
      return "ServiceUnavailable";
    case absl::StatusCode::kAborted:
      return "Conflict";
    case absl::StatusCode::kDataLoss:
      return "DataLoss";
    case absl::StatusCode::kResourceExhausted:
      return "TooManyRequests";
    case absl::StatusCode::kUnimplemented:
      return "MethodNotAllowed";
    default:
      return "InternalError";
  }
}

}  // namespace

Client::Client(const std::string& address) : address_(address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  channel_ = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  pods_ = v1::PodService::NewStub(channel_);
  images_ = v1::ImageService::NewStub(channel_);
  networks_ = v1::NetworkService::NewStub(channel_);
  node_ = v1::NodeService::NewStub(channel_);
}

absl::Status Client::ToStatus(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  // The agent's own UNAVAILABLE leaves the channel connected.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      channel_->GetState(false) != GRPC_CHANNEL_READY) {
    return LocalError(absl::StrCat(
        "the connection to the agent at ", address_,
        " was refused - is davitd running, and is this its --listen address? (",
        status.error_message(), ")"));
  }
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  result.SetPayload(kFromServer, absl::Cord("1"));
  return result;
}

absl::Status LocalError(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

std::string ErrorForPeople(const absl::Status& status) {
  if (!status.GetPayload(kFromServer).has_value()) {
    return absl::StrCat("error: ", status.message());
  }
  return absl::StrCat("Error from server (", Reason(status.code()),
                      "): ", status.message());
}

}  // namespace davit::cli
