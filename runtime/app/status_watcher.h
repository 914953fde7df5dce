#ifndef DAVIT_RUNTIME_APP_STATUS_WATCHER_H_
#define DAVIT_RUNTIME_APP_STATUS_WATCHER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "runtime/app/pod_apps.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// The thread behind PodApps::Watch: holds one connection for each watched pod,
// hears every change of a unit there (systemd sends all signals to its private
// connections, with the new values). A connection that breaks while the pod
// lives (systemctl daemon-reexec) is made again. Thread-safe; Watch and Unwatch
// may be called from the callback.
class StatusWatcher {
 public:
  explicit StatusWatcher(std::string app_launcher);
  ~StatusWatcher();
  StatusWatcher(const StatusWatcher&) = delete;

  // As PodApps says. A pod that is watched already is watched anew.
  absl::Status Watch(const PodRef& pod, const std::vector<std::string>& apps,
                     PodApps::StatusCallback callback, absl::Time deadline);

  // No callback for the pod runs any more when this returns, except the one
  // that it is called from.
  void Unwatch(const std::string& pod_id);

 private:
  class WatchedPod;

  void Loop();
  std::vector<WatchedPod*> DropAndList();
  void Wake();
  void MarkRemoved(const std::string& pod_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Calls the pod's callback, unless it is watched no more.
  void Report(WatchedPod* pod, const std::string& app, const AppStatus& status);

  const std::string app_launcher_;
  UniqueFd wake_;  // eventfd
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Only the thread removes: what it took from here stays valid for it.
  std::vector<std::unique_ptr<WatchedPod>> pods_ ABSL_GUARDED_BY(mu_);
  const WatchedPod* reporting_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_STATUS_WATCHER_H_
