#ifndef DAVIT_AGENT_POD_TESTING_SCRIPTED_APPS_H_
#define DAVIT_AGENT_POD_TESTING_SCRIPTED_APPS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/testing/journal.h"
#include "runtime/app/pod_apps.h"

namespace davit::testing {

// Apps in memory that outlive their users. Journal: "start_apps", "watch",
// "unwatch", "stop_app", "exec". A stopped app ends with 143. Thread-safe.
class ScriptedApps : public PodApps {
 public:
  explicit ScriptedApps(Journal* journal) : journal_(journal) {}

  absl::StatusOr<StartedApps> StartAll(const PodRef& pod,
                                       const std::vector<std::string>& apps,
                                       absl::Duration timeout) override;
  absl::StatusOr<AppStatus> Stop(const PodRef& pod, const std::string& app,
                                 absl::Duration grace) override;
  absl::Status ChangeLimits(const PodRef& pod, const std::string& app,
                            const AppLimits& limits) override;
  absl::StatusOr<AppStatus> GetStatus(const PodRef& pod,
                                      const std::string& app) override;
  absl::Status AwaitShutdown(const PodRef& pod,
                             absl::Duration timeout) override;
  absl::StatusOr<SystemState> GetSystemState(const PodRef& pod) override;
  absl::Status Watch(const PodRef& pod, const std::vector<std::string>& apps,
                     StatusCallback callback) override;
  void Unwatch(const std::string& pod_id) override;
  absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const PodRef& pod, const ExecRequest& request) override;

  // The app's status becomes this; watchers hear of it.
  void Change(const std::string& pod_id, const std::string& app,
              const AppStatus& status);
  // What apps are like right after StartAll; default: running.
  void StartAs(const AppStatus& status);

  // What AwaitShutdown returns at once; default: Unavailable.
  void ShutDownAs(const absl::Status& shutdown);

  // What every pod's systemd says of itself; default: "running".
  void SetSystemState(absl::StatusOr<std::string> state);

  static AppStatus Running();
  static AppStatus Ended(int exit_code);

 private:
  Journal* const journal_;
  absl::Mutex mutex_;
  std::map<std::string, std::map<std::string, AppStatus>> apps_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, StatusCallback> watchers_ ABSL_GUARDED_BY(mutex_);
  absl::StatusOr<std::string> system_state_ ABSL_GUARDED_BY(mutex_) = "running";
  absl::Status shutdown_ ABSL_GUARDED_BY(mutex_) =
      absl::UnavailableError("it cannot be asked");
  AppStatus start_as_ ABSL_GUARDED_BY(mutex_) = Running();
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_POD_TESTING_SCRIPTED_APPS_H_
