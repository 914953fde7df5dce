#ifndef DAVIT_AGENT_POD_TESTING_SCRIPTED_LAUNCHER_H_
#define DAVIT_AGENT_POD_TESTING_SCRIPTED_LAUNCHER_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/testing/journal.h"
#include "runtime/boot/launcher.h"

namespace davit::testing {

// A launcher whose pods live in memory and outlive its users, as shims do.
// Journal: "boot", "wait_ready", "stop", "destroy", "recover"; not what is
// prepared, because that is done beside other things. Thread-safe.
class ScriptedLauncher : public Launcher {
 public:
  explicit ScriptedLauncher(Journal* journal) : journal_(journal) {}

  absl::StatusOr<std::unique_ptr<PreparedPod>> Prepare(
      const BootRequest& request) override;
  absl::StatusOr<std::unique_ptr<PodProcess>> Boot(
      std::unique_ptr<PreparedPod> prepared, const BootRequest& request,
      PodListener listener) override;
  absl::StatusOr<std::unique_ptr<PodProcess>> Recover(
      const std::string& pod_id, const std::string& runtime_dir,
      const std::string& state_dir, PodListener listener) override;
  absl::Status Destroy(const std::string& pod_id,
                       const std::string& runtime_dir) override;
  absl::StatusOr<std::vector<std::string>> ListCgroups() override;

  // What Prepare says from now on.
  void SetPrepareStatus(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    prepare_status_ = status;
  }
  // Prepared pods that nobody has booted or dropped yet.
  int prepared() const { return *prepared_; }
  // From now on pods are not ready until they end.
  void HoldReady() {
    absl::MutexLock lock(&mutex_);
    hold_ready_ = true;
  }
  // Pods that are told to stop go on until End().
  void HoldEnds() {
    absl::MutexLock lock(&mutex_);
    hold_ends_ = true;
  }
  // The pod's PID 1 ends by itself.
  void End(const std::string& pod_id, const PodExit& exit);
  // The machine was rebooted: nothing is left.
  void ForgetAll();
  // A cgroup that no agent of ours made.
  void AddCgroup(const std::string& pod_id);

  bool IsAlive(const std::string& pod_id) const;
  std::vector<std::string> Known() const;  // ids with a cgroup
  BootRequest LastRequest() const;

 private:
  friend class ScriptedProcess;
  struct Machine {
    ProcessIdentity init;
    bool alive = true;
    PodExit exit;
    PodListener listener;
  };
  std::unique_ptr<PodProcess> MakeProcess(const std::string& pod_id,
                                          const ProcessIdentity& init);
  // Ends it; tells the listener. Returns how it ended.
  PodExit EndLocked(const std::string& pod_id, const PodExit& exit,
                    std::function<void()>& tell)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Journal* const journal_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Machine> machines_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> foreign_ ABSL_GUARDED_BY(mutex_);
  int next_pid_ ABSL_GUARDED_BY(mutex_) = 1000;
  bool hold_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_ends_ ABSL_GUARDED_BY(mutex_) = false;
  BootRequest last_request_ ABSL_GUARDED_BY(mutex_);
  absl::Status prepare_status_ ABSL_GUARDED_BY(mutex_);
  // Shared with the prepared pods.
  const std::shared_ptr<std::atomic<int>> prepared_ =
      std::make_shared<std::atomic<int>>(0);
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_POD_TESTING_SCRIPTED_LAUNCHER_H_
