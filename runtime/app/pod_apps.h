#ifndef DAVIT_RUNTIME_APP_POD_APPS_H_
#define DAVIT_RUNTIME_APP_POD_APPS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/app.h"
#include "runtime/app/exec.h"
#include "runtime/base/process_id.h"

namespace davit {

// A pod as this header needs it: PID 1 by identity, so that a reused pid is
// never talked to.
struct PodRef {
  std::string pod_id;
  ProcessIdentity init;
};

// Starts, stops, watches the apps of running pods and runs commands beside
// them, over each pod's own systemd (its private socket
// /run/systemd/private, a peer D-Bus connection, by sd-bus). Thread-safe; calls
// for different pods run in parallel; each call has a deadline.
class PodApps {
 public:
  virtual ~PodApps() = default;

  using StatusCallback = std::function<void(
      const std::string& pod_id, const std::string& app, const AppStatus&)>;

  // "running", "degraded", …: SystemState of the pod's manager, and the names
  // of its failed units.
  struct SystemState {
    std::string state;
    std::vector<std::string> failed_units;
  };

  // What StartAll has made. (A connection to a pod's systemd takes some
  // milliseconds, so who is connected asks for all.)
  struct StartedApps {
    std::vector<AppStatus> statuses;  // as the apps were given
    // Unavailable and so on: the start does not depend on it.
    absl::StatusOr<SystemState> system;
  };

  // Starts all apps of the pod (davit-apps.target) and returns when each has
  // been exec'ed or has failed to. FailedPrecondition names the first app that
  // could not be started, and why.
  virtual absl::StatusOr<StartedApps> StartAll(
      const PodRef& pod, const std::vector<std::string>& apps,
      absl::Duration timeout) = 0;

  // Stops one app: its stop signal, after `grace` SIGKILL. Returns how it
  // ended, also if it was not running. NotFound if its pod has ended, and it
  // with it.
  virtual absl::StatusOr<AppStatus> Stop(const PodRef& pod,
                                         const std::string& app,
                                         absl::Duration grace) = 0;

  // Replaces an app's limits, until its pod ends; what is 0 is lifted. The
  // pod's systemd keeps them as far as it has the controllers.
  virtual absl::Status ChangeLimits(const PodRef& pod, const std::string& app,
                                    const AppLimits& limits) = 0;

  virtual absl::StatusOr<AppStatus> GetStatus(const PodRef& pod,
                                              const std::string& app) = 0;

  // Waits until the pod's systemd hangs up: it has stopped all that it manages
  // and is about to become the program that ends the machine
  // (systemd-shutdown(8)), or is gone. An error if it could not be asked, or
  // after `timeout`.
  virtual absl::Status AwaitShutdown(const PodRef& pod,
                                     absl::Duration timeout) = 0;

  virtual absl::StatusOr<SystemState> GetSystemState(const PodRef& pod) = 0;

  // Reports each app's status now and at every change, from the watcher's one
  // thread, until Unwatch or the pod's end. Return quickly from the callback.
  virtual absl::Status Watch(const PodRef& pod,
                             const std::vector<std::string>& apps,
                             StatusCallback callback) = 0;
  virtual void Unwatch(const std::string& pod_id) = 0;

  // Runs a command in an app's (or, with an empty app, the machine's) world.
  virtual absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const PodRef& pod, const ExecRequest& request) = 0;
};

// `app_launcher` is the davit-app binary on the node: connections are made by
// it, as a systemd only takes them from inside its own pid namespace
// (launcher/connect.h). Never a file that a pod can write.
std::unique_ptr<PodApps> NewPodApps(const std::string& app_launcher);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_POD_APPS_H_
