#ifndef DAVIT_AGENT_RPC_TESTING_FAKE_POD_MANAGER_H_
#define DAVIT_AGENT_RPC_TESTING_FAKE_POD_MANAGER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/pod_manager.h"

namespace davit::testing {

// A PodManager in memory, for tests of what serves one: pods change state at
// once, by name only. Thread-safe.
class FakePodManager : public PodManager {
 public:
  using ExecFunction =
      std::function<absl::StatusOr<std::unique_ptr<ExecSession>>(
          const std::string& pod, const ExecRequest& request)>;

  using DialFunction = std::function<absl::StatusOr<UniqueFd>(
      const std::string& pod, uint16_t port)>;

  // The next call that could fail does, with `status`.
  void FailNext(absl::Status status);
  void SetExec(ExecFunction exec);
  void SetDial(DialFunction dial);
  void SetChecks(std::vector<NetworkCheck> checks);
  // What a collection finds; it finds nothing more after one that is not dry.
  void SetGarbage(std::vector<GarbageItem> garbage);
  void SetReport(RecoveryReport report);
  void SetUsage(PodUsage usage);
  // Events before `sequence` are forgotten.
  void ForgetEventsBefore(uint64_t sequence);
  // What the last Stop or Remove was told.
  std::optional<absl::Duration> last_grace() const;
  int subscriptions() const;
  // Changes a pod as it is, and tells subscribers.
  void Update(const std::string& pod, const std::function<void(Pod&)>& change);
  void EndLog();

  absl::StatusOr<RecoveryReport> Recover() override;
  absl::StatusOr<Pod> Create(const PodSpec& spec) override;
  absl::StatusOr<Pod> Start(const std::string& pod) override;
  absl::StatusOr<Pod> Run(const PodSpec& spec) override;
  absl::StatusOr<Pod> Stop(const std::string& pod,
                           std::optional<absl::Duration> grace) override;
  absl::StatusOr<bool> Remove(const std::string& pod,
                              std::optional<absl::Duration> grace) override;
  absl::StatusOr<Pod> Get(const std::string& pod) override;
  PodList List() override;
  absl::StatusOr<PodUsage> Usage(const std::string& pod) override;
  absl::StatusOr<std::unique_ptr<PodSubscription>> Subscribe(
      uint64_t sequence) override;
  absl::StatusOr<LogOptions> LogSource(const std::string& pod,
                                       const std::string& app) override;
  bool LogEnded(const std::string& pod, const std::string& app) override;
  absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const std::string& pod, ExecRequest request) override;
  // What SetExec gave, for "console" and with stdin_open as `typing`.
  absl::StatusOr<std::unique_ptr<ExecSession>> Attach(const std::string& pod,
                                                      bool typing) override;
  // Over what the spec says, unchecked.
  absl::StatusOr<Pod> ChangeResources(
      const std::string& pod, const std::string& app,
      const ResourceRequirements& change) override;
  absl::StatusOr<Pod> Pause(const std::string& pod) override;
  absl::StatusOr<Pod> Unpause(const std::string& pod) override;
  absl::StatusOr<Pod> Mount(const std::string& pod,
                            const PodMount& volume) override;
  absl::StatusOr<Pod> Unmount(const std::string& pod,
                              const UnmountRequest& request) override;
  absl::StatusOr<std::vector<NetworkCheck>> CheckNetworks(
      const std::string& pod) override;
  absl::StatusOr<UniqueFd> Dial(const std::string& pod, uint16_t port) override;
  std::vector<GarbageItem> CollectGarbage(bool dry_run) override;
  RecoveryReport recovery_report() override;
  void Drain(absl::Duration timeout) override;

 private:
  class Subscription;

  absl::Status TakeFailure() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Pod*> Find(const std::string& pod)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Pod> Change(const std::string& pod, PodState state);
  void Publish(PodEvent::Type type, const Pod& pod)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  std::vector<PodEvent> events_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 100;
  uint64_t forgotten_ ABSL_GUARDED_BY(mutex_) = 100;
  int subscriptions_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> last_grace_ ABSL_GUARDED_BY(mutex_);
  ExecFunction exec_ ABSL_GUARDED_BY(mutex_);
  DialFunction dial_ ABSL_GUARDED_BY(mutex_);
  std::vector<NetworkCheck> checks_ ABSL_GUARDED_BY(mutex_);
  std::vector<GarbageItem> garbage_ ABSL_GUARDED_BY(mutex_);
  RecoveryReport report_ ABSL_GUARDED_BY(mutex_);
  PodUsage usage_ ABSL_GUARDED_BY(mutex_);
  bool log_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_RPC_TESTING_FAKE_POD_MANAGER_H_
