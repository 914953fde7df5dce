#include "agent/pod/app_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace davit {
namespace {

constexpr int kKilledExitCode = 128 + 9;

bool HasEnded(const AppStatus& status) {
  return status.finished_at != absl::InfinitePast();
}

// The run that `status` (of an app that waits or runs again) tells the end of.
AppStatus EndedRun(const AppStatus& status) {
  AppStatus run = status;
  run.state = AppStatus::State::kTerminated;
  // "CrashLoopBackOff" tells of the wait, other reasons of the run.
  if (run.reason.empty() || run.reason == "CrashLoopBackOff") {
    run.reason = status.exit_code == 0 ? "Completed" : "Error";
  }
  run.main_pid = 0;
  return run;
}

}  // namespace

std::vector<AppState> NewAppStates(const PodSpec& spec,
                                   const std::vector<std::string>& image_ids) {
  std::vector<AppState> apps;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    AppState app;
    app.name = spec.containers[i].name;
    app.image = spec.containers[i].image;
    app.image_id = image_ids[i];
    app.status.reason = "ContainerCreating";
    apps.push_back(std::move(app));
  }
  return apps;
}

bool MergeAppStatus(const AppStatus& status, AppState& app) {
  bool ended = HasEnded(status) && status.finished_at != app.status.finished_at;
  if (status.state == AppStatus::State::kWaiting && HasEnded(status)) {
    app.last = EndedRun(status);
  } else if (status.state == AppStatus::State::kRunning && ended) {
    app.last = EndedRun(status);
    // This run's start is the app's; the one before has only its end.
    if (app.last.started_at > app.last.finished_at) {
      app.last.started_at = app.status.started_at;
    }
  }
  if (status.started_at != absl::InfinitePast()) app.started = true;
  app.status = status;
  // It never ran, so there is no code; kubelet's for that is 128.
  bool no_start = status.state == AppStatus::State::kTerminated &&
                  status.reason == "StartError";
  if (no_start && status.exit_code == 0) app.status.exit_code = 128;
  return ended;
}

bool AllAppsDone(const std::vector<AppState>& apps) {
  return !apps.empty() &&
         std::all_of(apps.begin(), apps.end(), [](const AppState& app) {
           return app.status.state == AppStatus::State::kTerminated;
         });
}

void MarkUnseenEnds(absl::Time at, std::vector<AppState>& apps) {
  for (AppState& app : apps) {
    AppStatus& status = app.status;
    if (status.state == AppStatus::State::kTerminated) continue;
    // Between two runs: the last one's end is known, and there is no next.
    if (status.state == AppStatus::State::kWaiting && HasEnded(app.last)) {
      int restarts = status.restarts;
      status = app.last;
      status.restarts = restarts;
      continue;
    }
    status.state = AppStatus::State::kTerminated;
    status.reason = "ContainerStatusUnknown";
    status.message = "the pod ended before the app's end was seen";
    status.exit_code = kKilledExitCode;
    status.signal = 0;
    status.finished_at = at;
    status.main_pid = 0;
  }
}

std::string EndReason(const PodStatus& status) {
  bool oom = status.exit && status.exit->oom_killed;
  if (!status.apps.empty()) {
    bool failed = false;
    for (const AppState& app : status.apps) {
      oom |= app.status.reason == "OOMKilled";
      failed |= app.status.exit_code != 0;
    }
    return failed ? (oom ? "OOMKilled" : "Error") : "Completed";
  }
  if (!status.exit || status.exit->kind == PodExit::Kind::kUnknown) {
    return "Unknown";
  }
  bool failed =
      status.exit->kind == PodExit::Kind::kSignaled || status.exit->code != 0;
  return failed ? (oom ? "OOMKilled" : "Error") : "Completed";
}

std::string DescribeExit(const PodExit& exit) {
  switch (exit.kind) {
    case PodExit::Kind::kUnknown:
      return "ended while nobody watched";
    case PodExit::Kind::kExited:
      return absl::StrCat("exited with ", exit.code);
    case PodExit::Kind::kPowerOff:
      return "powered off";
    case PodExit::Kind::kReboot:
      return "rebooted";
    case PodExit::Kind::kSignaled:
      return absl::StrCat("killed by signal ", exit.signal);
  }
  return "";
}

}  // namespace davit
