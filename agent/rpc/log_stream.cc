#include "agent/rpc/log_stream.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/rpc/convert.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// A message is sent when it holds this much. gRPC's limit is 4 MiB.
constexpr size_t kBatchBytes = 64 << 10;
constexpr int kBatchLines = 512;
// A line younger than this is probably the newest: it is sent at once.
constexpr absl::Duration kFresh = absl::Seconds(2);

class LogWriter {
 public:
  LogWriter(const grpc::ServerContext& context,
            grpc::ServerWriter<v1::GetLogsResponse>& writer, bool follow)
      : context_(context), writer_(writer), follow_(follow) {}

  // False when the client is gone.
  bool Add(const LogEntry& entry) {
    v1::LogLine* line = batch_.add_lines();
    *line->mutable_time() = TimeToProto(entry.at);
    line->set_stream(entry.is_stderr ? "stderr" : "stdout");
    line->set_message(entry.message);
    line->set_app(entry.app);
    bytes_ += entry.message.size() + entry.app.size() + sizeof(v1::LogLine);
    bool full = bytes_ >= kBatchBytes || batch_.lines_size() >= kBatchLines;
    bool fresh = follow_ && entry.at > absl::Now() - kFresh;
    // Not asked for each line whether the client is gone: gRPC polls for it.
    return full || fresh ? Flush() : !gone_;
  }

  bool Flush() {
    if (batch_.lines_size() == 0) return !Gone();
    gone_ = gone_ || !writer_.Write(batch_);
    batch_.Clear();
    bytes_ = 0;
    return !gone_;
  }

  bool Gone() {
    gone_ = gone_ || context_.IsCancelled();
    return gone_;
  }

 private:
  const grpc::ServerContext& context_;
  grpc::ServerWriter<v1::GetLogsResponse>& writer_;
  const bool follow_;
  v1::GetLogsResponse batch_;
  size_t bytes_ = 0;
  bool gone_ = false;
};

absl::Status FillOptions(const v1::GetLogsRequest& request,
                         LogOptions& options) {
  options.follow = request.follow();
  if (request.has_tail_lines()) {
    if (request.tail_lines() < -1) {
      return absl::InvalidArgumentError(
          absl::StrCat("tailLines: ", request.tail_lines(), " is negative"));
    }
    options.tail_lines = request.tail_lines();
  }
  if (request.has_since_time()) {
    options.since = TimeFromProto(request.since_time());
  }
  if (request.has_since()) {
    absl::Duration since = DurationFromProto(request.since());
    if (since < absl::ZeroDuration()) {
      return absl::InvalidArgumentError(
          absl::StrCat("since: ", absl::FormatDuration(since), " is negative"));
    }
    options.since = absl::Now() - since;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status StreamLogs(PodManager& manager, const LogReadFunction& read_logs,
                        const v1::GetLogsRequest& request,
                        const grpc::ServerContext& context,
                        grpc::ServerWriter<v1::GetLogsResponse>& writer) {
  if (request.pod().empty()) {
    return absl::InvalidArgumentError("pod: is required");
  }
  ASSIGN_OR_RETURN(LogOptions options,
                   manager.LogSource(request.pod(), request.app()));
  RETURN_IF_ERROR(FillOptions(request, options));
  LogWriter lines(context, writer, options.follow);
  // `ended` is asked at least once a second, by the same thread: the moment to
  // send what waits for company, and to see that the client is gone.
  absl::Status read = read_logs(
      options, [&](const LogEntry& entry) { return lines.Add(entry); },
      [&] {
        return !lines.Flush() || manager.LogEnded(request.pod(), options.app);
      });
  bool sent = lines.Flush();
  RETURN_IF_ERROR(read);
  return sent ? absl::OkStatus() : absl::CancelledError("the client is gone");
}

}  // namespace davit
