#include "runtime/app/pod_apps.h"

#include <signal.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "runtime/app/app_state.h"
#include "runtime/app/exec_session.h"
#include "runtime/app/pod_bus.h"
#include "runtime/app/start_apps.h"
#include "runtime/app/status_watcher.h"
#include "runtime/app/systemd_calls.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
// PAM starts logind and the user's own systemd for the first login.
constexpr absl::Duration kLoginTimeout = absl::Seconds(60);
// How long after SIGKILL systemd may take to find out.
constexpr absl::Duration kKillTimeout = absl::Seconds(10);

absl::Status AwaitJob(PodBus& bus, const JobWatch& jobs, const std::string& job,
                      absl::Time deadline) {
  return bus.RunUntil([&] { return jobs.IsDone(job); }, deadline);
}

absl::Status StopUnit(PodBus& bus, const std::string& unit,
                      absl::Duration grace) {
  ASSIGN_OR_RETURN(std::unique_ptr<JobWatch> jobs, JobWatch::Create(bus));
  ASSIGN_OR_RETURN(std::string job,
                   QueueJob(bus, "StopUnit", unit, absl::Now() + kCallTimeout));
  absl::Status stopped = AwaitJob(bus, *jobs, job, absl::Now() + grace);
  if (!absl::IsDeadlineExceeded(stopped)) return stopped;
  absl::Time deadline = absl::Now() + kKillTimeout;
  RETURN_IF_ERROR(KillUnit(bus, unit, SIGKILL, deadline));
  return AwaitJob(bus, *jobs, job, deadline);
}

absl::StatusOr<pid_t> RunningMainPid(PodBus& bus, const PodRef& pod,
                                     const std::string& app,
                                     absl::Time deadline) {
  ASSIGN_OR_RETURN(AppStatus status, ReadAppStatus(bus, pod, app, deadline));
  if (status.main_pid == 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("app \"%s\" is not running", app));
  }
  return status.main_pid;
}

class SystemdPodApps : public PodApps {
 public:
  explicit SystemdPodApps(const std::string& app_launcher)
      : app_launcher_(app_launcher), watcher_(app_launcher) {}

  absl::StatusOr<StartedApps> StartAll(const PodRef& pod,
                                       const std::vector<std::string>& apps,
                                       absl::Duration timeout) override {
    absl::Time deadline = absl::Now() + timeout;
    ASSIGN_OR_RETURN(PodBus bus, PodBus::Connect(pod, app_launcher_, deadline));
    RETURN_IF_ERROR(StartApps(bus, pod, apps, deadline));
    StartedApps started;
    deadline = absl::Now() + kCallTimeout;
    for (const std::string& app : apps) {
      ASSIGN_OR_RETURN(AppStatus status, ReadAppStatus(bus, pod, app, deadline),
                       absl::StrFormat("status of app \"%s\"", app));
      started.statuses.push_back(std::move(status));
    }
    started.system = GetManagerState(bus, deadline);
    return started;
  }

  absl::StatusOr<AppStatus> Stop(const PodRef& pod, const std::string& app,
                                 absl::Duration grace) override {
    ASSIGN_OR_RETURN(PodBus bus, Connect(pod));
    RETURN_IF_ERROR(StopUnit(bus, AppUnitName(app), grace),
                    absl::StrFormat("stop app \"%s\"", app));
    return ReadAppStatus(bus, pod, app, absl::Now() + kCallTimeout);
  }

  absl::Status ChangeLimits(const PodRef& pod, const std::string& app,
                            const AppLimits& limits) override {
    ASSIGN_OR_RETURN(PodBus bus, Connect(pod));
    return Annotate(SetUnitLimits(bus, AppUnitName(app), limits,
                                  absl::Now() + kCallTimeout),
                    absl::StrFormat("change limits of app \"%s\"", app));
  }

  absl::StatusOr<AppStatus> GetStatus(const PodRef& pod,
                                      const std::string& app) override {
    ASSIGN_OR_RETURN(PodBus bus, Connect(pod));
    return ReadAppStatus(bus, pod, app, absl::Now() + kCallTimeout);
  }

  absl::Status AwaitShutdown(const PodRef& pod,
                             absl::Duration timeout) override {
    return AwaitHangUp(pod, app_launcher_, timeout);
  }

  absl::StatusOr<SystemState> GetSystemState(const PodRef& pod) override {
    ASSIGN_OR_RETURN(PodBus bus, Connect(pod));
    return GetManagerState(bus, absl::Now() + kCallTimeout);
  }

  absl::Status Watch(const PodRef& pod, const std::vector<std::string>& apps,
                     StatusCallback callback) override {
    return watcher_.Watch(pod, apps, std::move(callback),
                          absl::Now() + kCallTimeout);
  }

  void Unwatch(const std::string& pod_id) override { watcher_.Unwatch(pod_id); }

  absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const PodRef& pod, const ExecRequest& request) override {
    absl::Time deadline =
        absl::Now() +
        (request.login_user.empty() ? kCallTimeout : kLoginTimeout);
    ASSIGN_OR_RETURN(PodBus bus, PodBus::Connect(pod, app_launcher_, deadline));
    pid_t main_pid = 0;
    if (!request.app.empty()) {
      ASSIGN_OR_RETURN(main_pid,
                       RunningMainPid(bus, pod, request.app, deadline));
    }
    return StartExec(bus, pod, request, main_pid, deadline);
  }

 private:
  absl::StatusOr<PodBus> Connect(const PodRef& pod) const {
    return PodBus::Connect(pod, app_launcher_, absl::Now() + kCallTimeout);
  }

  const std::string app_launcher_;
  StatusWatcher watcher_;
};

}  // namespace

std::unique_ptr<PodApps> NewPodApps(const std::string& app_launcher) {
  return std::make_unique<SystemdPodApps>(app_launcher);
}

}  // namespace davit
