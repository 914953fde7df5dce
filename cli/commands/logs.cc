// davitctl logs POD
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_names.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct LogsFlags {
  std::string pod, app, app_argument, since;
  bool follow = false, timestamps = false;
  int64_t tail = -1;
};

absl::StatusOr<v1::GetLogsRequest> BuildRequest(const LogsFlags& flags) {
  v1::GetLogsRequest request;
  request.set_pod(PodName(flags.pod));
  request.set_app(flags.app.empty() ? flags.app_argument : flags.app);
  request.set_follow(flags.follow);
  request.set_tail_lines(flags.tail);
  if (!flags.since.empty()) {
    absl::Duration since;
    if (!absl::ParseDuration(flags.since, &since) ||
        since <= absl::ZeroDuration()) {
      return LocalError(absl::StrCat("--since \"", flags.since,
                                     "\": must be a duration like 5s, 2m, 3h"));
    }
    request.mutable_since()->set_seconds(absl::ToInt64Seconds(since));
    request.mutable_since()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(since % absl::Seconds(1))));
  }
  return request;
}

absl::StatusOr<int> Logs(Context& context, const LogsFlags& flags) {
  ASSIGN_OR_RETURN(v1::GetLogsRequest request, BuildRequest(flags));
  grpc::ClientContext rpc;
  auto stream = context.client().pods().GetLogs(&rpc, request);
  v1::GetLogsResponse batch;
  while (stream->Read(&batch)) {
    for (const v1::LogLine& line : batch.lines()) {
      if (flags.timestamps) {
        context.out << absl::FormatTime(
            "%Y-%m-%dT%H:%M:%E9SZ ", ToTime(line.time()), absl::UTCTimeZone());
      }
      context.out << line.message() << "\n";
    }
    context.out.flush();
    // The reader of a pipe has gone: stop following.
    if (!context.out) rpc.TryCancel();
  }
  RETURN_IF_ERROR(context.client().ToStatus(stream->Finish()));
  return 0;
}

}  // namespace

void AddLogsCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<LogsFlags>();
  CLI::App* logs = app.add_subcommand("logs", "Print the logs of an app");
  logs->add_option("POD", flags->pod, "the pod")->required();
  logs->add_option("APP", flags->app_argument, "the app, if it has several");
  logs->add_option("-c,--container,--app", flags->app,
                   "the app, if the pod has several");
  logs->add_flag("-f,--follow", flags->follow, "go on as lines come");
  logs->add_flag("--timestamps", flags->timestamps, "a time before each line");
  logs->add_option("--tail", flags->tail, "only the last lines; -1 for all")
      ->capture_default_str();
  logs->add_option("--since", flags->since, "only younger lines: 5s, 2m, 3h");
  logs->callback([&context, flags] {
    context.action = [&context, flags] { return Logs(context, *flags); };
  });
}

}  // namespace davit::cli
