#ifndef DAVIT_RUNTIME_BOOT_FAKE_LAUNCHER_H_
#define DAVIT_RUNTIME_BOOT_FAKE_LAUNCHER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/boot/launcher.h"

namespace davit {

// A Launcher without processes. Pods start at once, get ready at once unless
// told otherwise, and end when stopped or when the test says so. Remembers its
// pods when a PodProcess goes away, so a second agent can Recover them.
// Callbacks run on the thread that causes them. Thread-safe; outlives its
// PodProcesses.
class FakeLauncher : public Launcher {
 public:
  absl::StatusOr<std::unique_ptr<PodProcess>> Start(
      const BootRequest& request, PodListener listener) override;
  absl::StatusOr<std::unique_ptr<PodProcess>> Recover(
      const std::string& pod_id, const std::string& runtime_dir,
      const std::string& state_dir, PodListener listener) override;
  absl::Status Destroy(const std::string& pod_id,
                       const std::string& runtime_dir) override;
  absl::StatusOr<std::vector<std::string>> ListCgroups() override;

  // The script.
  void FailNextStart(absl::Status error);
  void FailNextDestroy(absl::Status error);
  // Pods that start from now on wait for MakeReady.
  void HoldReady(bool hold);
  void MakeReady(const std::string& pod_id);
  void SetStatus(const std::string& pod_id, const std::string& status);
  // PID 1 ends. Ignored if it has ended before.
  void End(const std::string& pod_id, PodExit exit);
  void SetUsage(const std::string& pod_id, PodUsage usage);
  // What Stop makes of a pod; default: kPowerOff.
  void SetStopResult(PodExit exit);

  // What happened.
  std::vector<BootRequest> started() const;
  std::vector<std::string> destroyed() const;
  // Grace of each Stop, in order.
  std::vector<absl::Duration> stops() const;
  bool IsRunning(const std::string& pod_id) const;

 private:
  struct Pod;
  class Process;

  std::shared_ptr<Pod> Find(const std::string& pod_id) const;
  PodExit NoteStop(absl::Duration grace);

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Pod>> pods_ ABSL_GUARDED_BY(mutex_);
  std::vector<BootRequest> started_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> destroyed_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> stops_ ABSL_GUARDED_BY(mutex_);
  absl::Status next_start_ ABSL_GUARDED_BY(mutex_);
  absl::Status next_destroy_ ABSL_GUARDED_BY(mutex_);
  bool hold_ready_ ABSL_GUARDED_BY(mutex_) = false;
  PodExit stop_result_ ABSL_GUARDED_BY(mutex_) = {
      .kind = PodExit::Kind::kPowerOff};
  pid_t next_pid_ ABSL_GUARDED_BY(mutex_) = 100000;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_FAKE_LAUNCHER_H_
