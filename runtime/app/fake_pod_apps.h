#ifndef DAVIT_RUNTIME_APP_FAKE_POD_APPS_H_
#define DAVIT_RUNTIME_APP_FAKE_POD_APPS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "runtime/app/pod_apps.h"

namespace davit {

// What a scripted exec does: its output is there at once, then it ends.
struct FakeExec {
  absl::Status error;  // not OK: Exec fails with it
  std::string out;
  std::string err;
  bool echo_stdin = false;  // a cat: ends when stdin is closed
  int exit_code = 0;
};

// PodApps without pods: statuses and exec results are set by the test, calls
// are recorded, and errors can be made to happen. Callbacks of Watch run on the
// thread that changes a status. Thread-safe.
class FakePodApps : public PodApps {
 public:
  // Makes an app exist, or changes its status and tells those who watch it.
  void SetStatus(const std::string& pod_id, const std::string& app,
                 const AppStatus& status);
  void SetSystemState(const std::string& pod_id, SystemState state);
  // What every later exec of argv[0] == `command` does; others give NotFound.
  void SetExec(const std::string& command, FakeExec exec);
  // The next call of "StartAll", "Stop", "GetStatus", "GetSystemState",
  // "Watch" or "Exec" fails.
  void FailNext(const std::string& method, absl::Status error);

  // "StartAll pod-1 web,db", "Stop pod-1 web 30s", … in order.
  std::vector<std::string> Calls() const;
  bool IsWatched(const std::string& pod_id) const;

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

 private:
  struct Watcher {
    std::vector<std::string> apps;
    StatusCallback callback;
  };

  // Records the call; the error that was asked for, if any.
  absl::Status Begin(const std::string& method, const std::string& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  SystemState StateOf(const std::string& pod_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<std::pair<std::string, std::string>, AppStatus> statuses_
      ABSL_GUARDED_BY(mu_);
  std::map<std::string, SystemState> states_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, FakeExec> execs_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_FAKE_POD_APPS_H_
