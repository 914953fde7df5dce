#include "agent/pod/testing/scripted_apps.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {

AppStatus ScriptedApps::Running() {
  AppStatus status;
  status.state = AppStatus::State::kRunning;
  status.started_at = absl::FromUnixSeconds(1000);
  status.main_pid = 7;
  return status;
}

AppStatus ScriptedApps::Ended(int exit_code) {
  AppStatus status;
  status.state = AppStatus::State::kTerminated;
  status.exit_code = exit_code;
  status.reason = exit_code == 0 ? "Completed" : "Error";
  status.started_at = absl::FromUnixSeconds(1000);
  status.finished_at = absl::FromUnixSeconds(2000);
  return status;
}

absl::StatusOr<PodApps::StartedApps> ScriptedApps::StartAll(
    const PodRef& pod, const std::vector<std::string>& apps, absl::Duration) {
  RETURN_IF_ERROR(journal_->Enter("start_apps"));
  StartedApps started;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::string& app : apps) apps_[pod.pod_id][app] = start_as_;
    started.statuses.assign(apps.size(), start_as_);
  }
  started.system = GetSystemState(pod);
  RETURN_IF_ERROR(journal_->Leave("start_apps"));
  return started;
}

absl::StatusOr<AppStatus> ScriptedApps::Stop(const PodRef& pod,
                                             const std::string& app,
                                             absl::Duration grace) {
  RETURN_IF_ERROR(journal_->Enter(
      "stop_app", absl::StrCat(app, " ", absl::FormatDuration(grace))));
  AppStatus ended;
  {
    absl::MutexLock lock(&mutex_);
    AppStatus& status = apps_[pod.pod_id][app];
    if (status.state != AppStatus::State::kTerminated) {
      status = Ended(143);
      status.signal = 15;
    }
    ended = status;
  }
  RETURN_IF_ERROR(journal_->Leave("stop_app"));
  return ended;
}

absl::Status ScriptedApps::ChangeLimits(const PodRef&, const std::string& app,
                                        const AppLimits& limits) {
  return journal_->Enter("app_limits",
                         absl::StrCat(app, " memory ", limits.memory_max_bytes,
                                      " cpu ", limits.cpu_millis));
}

absl::StatusOr<AppStatus> ScriptedApps::GetStatus(const PodRef& pod,
                                                  const std::string& app) {
  absl::MutexLock lock(&mutex_);
  auto it = apps_.find(pod.pod_id);
  if (it == apps_.end() || it->second.count(app) == 0) {
    return absl::NotFoundError(absl::StrCat("no app \"", app, "\""));
  }
  return it->second[app];
}

absl::Status ScriptedApps::AwaitShutdown(const PodRef&, absl::Duration) {
  absl::MutexLock lock(&mutex_);
  return shutdown_;
}

absl::StatusOr<PodApps::SystemState> ScriptedApps::GetSystemState(
    const PodRef&) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(system_state_.status());
  return SystemState{*system_state_, {}};
}

absl::Status ScriptedApps::Watch(const PodRef& pod,
                                 const std::vector<std::string>& apps,
                                 StatusCallback callback) {
  RETURN_IF_ERROR(journal_->Enter("watch"));
  std::map<std::string, AppStatus> now;
  {
    absl::MutexLock lock(&mutex_);
    watchers_[pod.pod_id] = callback;
    for (const std::string& app : apps) now[app] = apps_[pod.pod_id][app];
  }
  for (const auto& [app, status] : now) callback(pod.pod_id, app, status);
  return journal_->Leave("watch");
}

void ScriptedApps::Unwatch(const std::string& pod_id) {
  if (!journal_->Enter("unwatch").ok()) return;
  StatusCallback dropped;
  absl::MutexLock lock(&mutex_);
  dropped = std::exchange(watchers_[pod_id], nullptr);
}

absl::StatusOr<std::unique_ptr<ExecSession>> ScriptedApps::Exec(
    const PodRef& pod, const ExecRequest& request) {
  RETURN_IF_ERROR(
      journal_->Enter("exec", absl::StrCat(request.app, " ", pod.init.pid)));
  return absl::UnimplementedError("the fake runs nothing");
}

void ScriptedApps::Change(const std::string& pod_id, const std::string& app,
                          const AppStatus& status) {
  StatusCallback callback;
  {
    absl::MutexLock lock(&mutex_);
    apps_[pod_id][app] = status;
    callback = watchers_[pod_id];
  }
  if (callback && !journal_->dead()) callback(pod_id, app, status);
}

void ScriptedApps::SetSystemState(absl::StatusOr<std::string> state) {
  absl::MutexLock lock(&mutex_);
  system_state_ = std::move(state);
}

void ScriptedApps::ShutDownAs(const absl::Status& shutdown) {
  absl::MutexLock lock(&mutex_);
  shutdown_ = shutdown;
}

void ScriptedApps::StartAs(const AppStatus& status) {
  absl::MutexLock lock(&mutex_);
  start_as_ = status;
}

}  // namespace davit::testing
