#include "agent/rpc/pod_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "agent/rpc/convert.h"
#include "agent/rpc/cursor.h"
#include "agent/rpc/exec_stream.h"
#include "agent/rpc/grpc_status.h"
#include "agent/rpc/log_stream.h"
#include "agent/rpc/page.h"
#include "agent/rpc/port_forward_stream.h"
#include "agent/rpc/validate.h"
#include "agent/rpc/watch_stream.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

using ::grpc::CallbackServerContext;
using ::grpc::ServerContext;
using ::grpc::ServerWriter;

absl::Status CheckPodName(const std::string& pod) {
  if (!pod.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("pod: is required");
}

template <typename Request>
absl::StatusOr<std::optional<absl::Duration>> GraceOf(const Request& request) {
  constexpr int64_t kMaxSeconds = 366 * 24 * 3600;
  if (!request.has_grace_period_seconds()) return std::nullopt;
  int64_t seconds = request.grace_period_seconds();
  if (seconds < 0 || seconds > kMaxSeconds) {
    return absl::InvalidArgumentError(
        absl::StrCat("gracePeriodSeconds: ", seconds, " is not between 0 and ",
                     kMaxSeconds));
  }
  return absl::Seconds(seconds);
}

// A page token: "<cursor of the first page>/<last name>". The cursor goes
// through all pages, so that a watch that continues the list misses nothing
// that happened between them.
struct PageToken {
  std::string cursor;
  std::string name;
};

absl::StatusOr<PageToken> ParsePageToken(const std::string& text) {
  std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() == 2) return PageToken{parts[0], parts[1]};
  return absl::InvalidArgumentError(
      absl::StrCat("pageToken: \"", text, "\" is not a token of this list"));
}

// Unary calls block a thread of gRPC's pool each, as the calls of PodManager
// do. Exec, Attach and PortForward use the callback API: only there may a call
// end while a read of the client's next message is under way.
using ServiceBase = v1::PodService::WithCallbackMethod_Exec<
    v1::PodService::WithCallbackMethod_Attach<
        v1::PodService::WithCallbackMethod_PortForward<
            v1::PodService::Service>>>;

class PodService final : public ServiceBase {
 public:
  PodService(PodManager* manager, LogReadFunction read_logs,
             const PodServiceOptions& options)
      : manager_(*manager),
        read_logs_(std::move(read_logs)),
        options_(options),
        cursors_(NewUuid()) {}

  grpc::Status RunPod(ServerContext*, const v1::RunPodRequest* request,
                      v1::RunPodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      ASSIGN_OR_RETURN(PodSpec spec, CheckedSpec(request->pod()));
      return manager_.Run(spec);
    });
  }

  grpc::Status CreatePod(ServerContext*, const v1::CreatePodRequest* request,
                         v1::CreatePodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      ASSIGN_OR_RETURN(PodSpec spec, CheckedSpec(request->pod()));
      return manager_.Create(spec);
    });
  }

  grpc::Status StartPod(ServerContext*, const v1::StartPodRequest* request,
                        v1::StartPodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      return manager_.Start(request->pod());
    });
  }

  grpc::Status StopPod(ServerContext*, const v1::StopPodRequest* request,
                       v1::StopPodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      ASSIGN_OR_RETURN(auto grace, GraceOf(*request));
      return manager_.Stop(request->pod(), grace);
    });
  }

  grpc::Status RemovePod(ServerContext*, const v1::RemovePodRequest* request,
                         v1::RemovePodResponse* response) override {
    return ToGrpcStatus([&]() -> absl::Status {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      ASSIGN_OR_RETURN(auto grace, GraceOf(*request));
      ASSIGN_OR_RETURN(bool existed, manager_.Remove(request->pod(), grace));
      response->set_missing(!existed);
      return absl::OkStatus();
    }());
  }

  grpc::Status GetPod(ServerContext*, const v1::GetPodRequest* request,
                      v1::GetPodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      return manager_.Get(request->pod());
    });
  }

  grpc::Status ListPods(ServerContext*, const v1::ListPodsRequest* request,
                        v1::ListPodsResponse* response) override {
    return ToGrpcStatus(List(*request, *response));
  }

  grpc::Status WatchPods(ServerContext* context,
                         const v1::WatchPodsRequest* request,
                         ServerWriter<v1::WatchPodsResponse>* writer) override {
    return ToGrpcStatus(
        StreamPods(manager_, cursors_, *request, *context, *writer));
  }

  grpc::Status GetLogs(ServerContext* context,
                       const v1::GetLogsRequest* request,
                       ServerWriter<v1::GetLogsResponse>* writer) override {
    return ToGrpcStatus(
        StreamLogs(manager_, read_logs_, *request, *context, *writer));
  }

  grpc::Status MountVolume(ServerContext*,
                           const v1::MountVolumeRequest* request,
                           v1::MountVolumeResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckRoot());
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      PodMount volume = {.source = request->source(),
                         .target = request->target(),
                         .app = request->app(),
                         .read_only = request->read_only()};
      RETURN_IF_ERROR(ValidateVolume(volume));
      return manager_.Mount(request->pod(), volume);
    });
  }

  grpc::Status UnmountVolume(ServerContext*,
                             const v1::UnmountVolumeRequest* request,
                             v1::UnmountVolumeResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckRoot());
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      RETURN_IF_ERROR(ValidateVolumeTarget(request->target()));
      return manager_.Unmount(request->pod(), {.app = request->app(),
                                               .target = request->target(),
                                               .force = request->force()});
    });
  }

  grpc::Status UpdatePodResources(
      ServerContext*, const v1::UpdatePodResourcesRequest* request,
      v1::UpdatePodResourcesResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      return manager_.ChangeResources(request->pod(), request->app(),
                                      ResourcesFromProto(request->resources()));
    });
  }

  grpc::Status PausePod(ServerContext*, const v1::PausePodRequest* request,
                        v1::PausePodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      return manager_.Pause(request->pod());
    });
  }

  grpc::Status UnpausePod(ServerContext*, const v1::UnpausePodRequest* request,
                          v1::UnpausePodResponse* response) override {
    return Answer(response, [&]() -> absl::StatusOr<Pod> {
      RETURN_IF_ERROR(CheckPodName(request->pod()));
      return manager_.Unpause(request->pod());
    });
  }

  grpc::ServerBidiReactor<v1::ExecRequest, v1::ExecResponse>* Exec(
      CallbackServerContext*) override {
    return NewExecStream(&manager_);
  }

  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* Attach(
      CallbackServerContext*) override {
    return NewAttachStream(&manager_);
  }

  grpc::ServerBidiReactor<v1::PortForwardRequest, v1::PortForwardResponse>*
  PortForward(CallbackServerContext*) override {
    return NewPortForwardStream(&manager_);
  }

 private:
  absl::Status CheckRoot() const {
    if (options_.for_root) return absl::OkStatus();
    return absl::PermissionDeniedError(
        "volumes are for root of the node alone");
  }

  absl::StatusOr<PodSpec> CheckedSpec(const v1::Pod& pod) const {
    ASSIGN_OR_RETURN(PodSpec spec, PodSpecFromProto(pod));
    if (!spec.host_users) spec.host_users = options_.host_users;
    RETURN_IF_ERROR(ValidatePodSpec(spec));
    return spec;
  }

  template <typename Response, typename Work>
  grpc::Status Answer(Response* response, Work work) {
    absl::StatusOr<Pod> pod = work();
    if (!pod.ok()) return ToGrpcStatus(pod.status());
    *response->mutable_pod() = ToProto(*pod);
    AddUsage(*pod, *response->mutable_pod());
    return grpc::Status::OK;
  }

  // A pod that ends in this moment has no usage any more; that is no error.
  void AddUsage(const Pod& pod, v1::Pod& out) {
    if (pod.status.state != PodState::kRunning) return;
    absl::StatusOr<PodUsage> usage = manager_.Usage(pod.id);
    if (usage.ok()) *out.mutable_status()->mutable_usage() = ToProto(*usage);
  }

  absl::Status List(const v1::ListPodsRequest& request,
                    v1::ListPodsResponse& response) {
    ASSIGN_OR_RETURN(size_t size, PageSize(request.page_size()));
    PodList list = manager_.List();
    PageToken token{cursors_.Encode(list.sequence), ""};
    if (!request.page_token().empty()) {
      ASSIGN_OR_RETURN(token, ParsePageToken(request.page_token()));
    }
    std::vector<Pod> wanted;
    for (Pod& pod : list.pods) {
      if (MatchesLabels(pod.spec.labels, request.label_selector())) {
        wanted.push_back(std::move(pod));
      }
    }
    Page<Pod> page = TakePage(std::move(wanted), token.name, size,
                              [](const Pod& pod) { return pod.spec.name; });
    for (const Pod& pod : page.items) *response.add_pods() = ToProto(pod);
    response.set_cursor(token.cursor);
    if (!page.last_key.empty()) {
      response.set_next_page_token(
          absl::StrCat(token.cursor, "/", page.last_key));
    }
    return absl::OkStatus();
  }

  PodManager& manager_;
  const LogReadFunction read_logs_;
  const PodServiceOptions options_;
  const CursorCodec cursors_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewPodService(PodManager* manager,
                                             LogReadFunction read_logs,
                                             const PodServiceOptions& options) {
  return std::make_unique<PodService>(manager, std::move(read_logs), options);
}

}  // namespace davit
