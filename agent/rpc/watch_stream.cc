#include "agent/rpc/watch_stream.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/rpc/convert.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// gRPC's synchronous API has no event for "the client is gone"; between events
// it is asked this often.
constexpr absl::Duration kCancelCheck = absl::Milliseconds(500);

v1::WatchPodsResponse::Type TypeOf(PodEvent::Type type) {
  switch (type) {
    case PodEvent::Type::kAdded:
      return v1::WatchPodsResponse::ADDED;
    case PodEvent::Type::kModified:
      return v1::WatchPodsResponse::MODIFIED;
    case PodEvent::Type::kDeleted:
      return v1::WatchPodsResponse::DELETED;
  }
  return v1::WatchPodsResponse::TYPE_UNSPECIFIED;
}

class PodWatch {
 public:
  PodWatch(PodManager& manager, const CursorCodec& cursors,
           const v1::WatchPodsRequest& request,
           const grpc::ServerContext& context,
           grpc::ServerWriter<v1::WatchPodsResponse>& writer)
      : manager_(manager),
        cursors_(cursors),
        request_(request),
        context_(context),
        writer_(writer) {}

  absl::Status Run() {
    if (request_.cursor().empty()) {
      RETURN_IF_ERROR(StartWithList());
    } else {
      ASSIGN_OR_RETURN(uint64_t sequence, cursors_.Decode(request_.cursor()));
      ASSIGN_OR_RETURN(subscription_, manager_.Subscribe(sequence));
    }
    while (true) RETURN_IF_ERROR(Step());
  }

 private:
  // Subscribed before the list is written: a slow client misses nothing that
  // happens meanwhile.
  absl::Status StartWithList() {
    PodList list = manager_.List();
    ASSIGN_OR_RETURN(subscription_, manager_.Subscribe(list.sequence));
    for (const Pod& pod : list.pods) {
      RETURN_IF_ERROR(Write(v1::WatchPodsResponse::ADDED, pod, ""));
    }
    v1::WatchPodsResponse synced;
    synced.set_type(v1::WatchPodsResponse::SYNCED);
    synced.set_cursor(cursors_.Encode(list.sequence));
    return Send(synced);
  }

  absl::Status Step() {
    if (context_.IsCancelled()) return Gone();
    absl::StatusOr<PodEvent> event = subscription_->Next(kCancelCheck);
    if (absl::IsDeadlineExceeded(event.status())) return absl::OkStatus();
    RETURN_IF_ERROR(event.status());
    return Write(TypeOf(event->type), event->pod,
                 cursors_.Encode(event->sequence));
  }

  absl::Status Write(v1::WatchPodsResponse::Type type, const Pod& pod,
                     const std::string& cursor) {
    // Labels never change, so a pod is in a watch for life or not at all.
    if (!MatchesLabels(pod.spec.labels, request_.label_selector())) {
      return absl::OkStatus();
    }
    v1::WatchPodsResponse response;
    response.set_type(type);
    *response.mutable_pod() = ToProto(pod);
    response.set_cursor(cursor);
    return Send(response);
  }

  absl::Status Send(const v1::WatchPodsResponse& response) {
    return writer_.Write(response) ? absl::OkStatus() : Gone();
  }

  static absl::Status Gone() {
    return absl::CancelledError("the client is gone");
  }

  PodManager& manager_;
  const CursorCodec& cursors_;
  const v1::WatchPodsRequest& request_;
  const grpc::ServerContext& context_;
  grpc::ServerWriter<v1::WatchPodsResponse>& writer_;
  std::unique_ptr<PodSubscription> subscription_;
};

}  // namespace

bool MatchesLabels(
    const std::map<std::string, std::string>& labels,
    const google::protobuf::Map<std::string, std::string>& wanted) {
  for (const auto& [key, value] : wanted) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

absl::Status StreamPods(PodManager& manager, const CursorCodec& cursors,
                        const v1::WatchPodsRequest& request,
                        const grpc::ServerContext& context,
                        grpc::ServerWriter<v1::WatchPodsResponse>& writer) {
  return PodWatch(manager, cursors, request, context, writer).Run();
}

}  // namespace davit
