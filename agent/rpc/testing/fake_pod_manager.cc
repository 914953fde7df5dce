#include "agent/rpc/testing/fake_pod_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"

namespace davit::testing {

class FakePodManager::Subscription : public PodSubscription {
 public:
  Subscription(FakePodManager* manager, uint64_t sequence)
      : manager_(*manager), sequence_(sequence) {}

  ~Subscription() override {
    absl::MutexLock lock(&manager_.mutex_);
    --manager_.subscriptions_;
  }

  absl::StatusOr<PodEvent> Next(absl::Duration timeout) override {
    absl::MutexLock lock(&manager_.mutex_);
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(manager_.mutex_) {
      return manager_.draining_ || manager_.sequence_ > sequence_;
    };
    manager_.mutex_.AwaitWithTimeout(absl::Condition(&ready), timeout);
    if (manager_.draining_) return absl::UnavailableError("draining");
    if (sequence_ < manager_.forgotten_) {
      return absl::OutOfRangeError("too slow");
    }
    for (const PodEvent& event : manager_.events_) {
      if (event.sequence <= sequence_) continue;
      sequence_ = event.sequence;
      return event;
    }
    return absl::DeadlineExceededError("no event");
  }

 private:
  FakePodManager& manager_;
  uint64_t sequence_;
};

void FakePodManager::FailNext(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failure_ = std::move(status);
}

void FakePodManager::SetExec(ExecFunction exec) {
  absl::MutexLock lock(&mutex_);
  exec_ = std::move(exec);
}

void FakePodManager::SetDial(DialFunction dial) {
  absl::MutexLock lock(&mutex_);
  dial_ = std::move(dial);
}

void FakePodManager::SetChecks(std::vector<NetworkCheck> checks) {
  absl::MutexLock lock(&mutex_);
  checks_ = std::move(checks);
}

void FakePodManager::SetGarbage(std::vector<GarbageItem> garbage) {
  absl::MutexLock lock(&mutex_);
  garbage_ = std::move(garbage);
}

void FakePodManager::SetReport(RecoveryReport report) {
  absl::MutexLock lock(&mutex_);
  report_ = std::move(report);
}

void FakePodManager::SetUsage(PodUsage usage) {
  absl::MutexLock lock(&mutex_);
  usage_ = usage;
}

void FakePodManager::ForgetEventsBefore(uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  forgotten_ = sequence;
}

std::optional<absl::Duration> FakePodManager::last_grace() const {
  absl::MutexLock lock(&mutex_);
  return last_grace_;
}

int FakePodManager::subscriptions() const {
  absl::MutexLock lock(&mutex_);
  return subscriptions_;
}

void FakePodManager::Update(const std::string& pod,
                            const std::function<void(Pod&)>& change) {
  absl::MutexLock lock(&mutex_);
  Pod& found = pods_.at(pod);
  change(found);
  Publish(PodEvent::Type::kModified, found);
}

void FakePodManager::EndLog() {
  absl::MutexLock lock(&mutex_);
  log_ended_ = true;
}

absl::StatusOr<RecoveryReport> FakePodManager::Recover() {
  return recovery_report();
}

absl::StatusOr<Pod> FakePodManager::Create(const PodSpec& spec) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  if (pods_.count(spec.name) > 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("pod \"", spec.name, "\" exists"));
  }
  Pod& pod = pods_[spec.name];
  pod.id = NewUuid();
  pod.spec = spec;
  pod.created_at = absl::Now();
  for (const ContainerSpec& container : spec.containers) {
    AppState app;
    app.name = container.name;
    app.image = container.image;
    pod.status.apps.push_back(app);
  }
  Publish(PodEvent::Type::kAdded, pod);
  return pod;
}

absl::StatusOr<Pod> FakePodManager::Start(const std::string& pod) {
  return Change(pod, PodState::kRunning);
}

absl::StatusOr<Pod> FakePodManager::Run(const PodSpec& spec) {
  RETURN_IF_ERROR(Create(spec).status());
  return Start(spec.name);
}

absl::StatusOr<Pod> FakePodManager::Stop(const std::string& pod,
                                         std::optional<absl::Duration> grace) {
  {
    absl::MutexLock lock(&mutex_);
    last_grace_ = grace;
  }
  return Change(pod, PodState::kExited);
}

absl::StatusOr<bool> FakePodManager::Remove(
    const std::string& pod, std::optional<absl::Duration> grace) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  last_grace_ = grace;
  auto it = pods_.find(pod);
  if (it == pods_.end()) return false;
  Publish(PodEvent::Type::kDeleted, it->second);
  pods_.erase(it);
  return true;
}

absl::StatusOr<Pod> FakePodManager::Get(const std::string& pod) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  return *found;
}

PodList FakePodManager::List() {
  absl::MutexLock lock(&mutex_);
  PodList list;
  for (const auto& [name, pod] : pods_) list.pods.push_back(pod);
  list.sequence = sequence_;
  return list;
}

absl::StatusOr<PodUsage> FakePodManager::Usage(const std::string&) {
  absl::MutexLock lock(&mutex_);
  return usage_;
}

absl::StatusOr<std::unique_ptr<PodSubscription>> FakePodManager::Subscribe(
    uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (sequence < forgotten_) return absl::OutOfRangeError("too old");
  ++subscriptions_;
  return std::unique_ptr<PodSubscription>(new Subscription(this, sequence));
}

absl::StatusOr<LogOptions> FakePodManager::LogSource(const std::string& pod,
                                                     const std::string& app) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  LogOptions options;
  options.journal_dir = absl::StrCat("/journal/", found->spec.name);
  options.app = app;
  return options;
}

bool FakePodManager::LogEnded(const std::string&, const std::string&) {
  absl::MutexLock lock(&mutex_);
  return log_ended_;
}

absl::StatusOr<std::unique_ptr<ExecSession>> FakePodManager::Exec(
    const std::string& pod, ExecRequest request) {
  ExecFunction exec;
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(TakeFailure());
    RETURN_IF_ERROR(Find(pod).status());
    exec = exec_;
  }
  return exec(pod, request);
}

absl::StatusOr<UniqueFd> FakePodManager::Dial(const std::string& pod,
                                              uint16_t port) {
  DialFunction dial;
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(TakeFailure());
    RETURN_IF_ERROR(Find(pod).status());
    dial = dial_;
  }
  return dial(pod, port);
}

absl::StatusOr<std::unique_ptr<ExecSession>> FakePodManager::Attach(
    const std::string& pod, bool typing) {
  ExecRequest request;
  request.app = "console";
  request.stdin_open = typing;
  return Exec(pod, request);
}

absl::StatusOr<Pod> FakePodManager::ChangeResources(
    const std::string& pod, const std::string&,
    const ResourceRequirements& change) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  found->spec.resources = change;
  return *found;
}

absl::StatusOr<Pod> FakePodManager::Pause(const std::string& pod) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  found->status.paused = true;
  return *found;
}

absl::StatusOr<Pod> FakePodManager::Unpause(const std::string& pod) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  found->status.paused = false;
  return *found;
}

absl::StatusOr<Pod> FakePodManager::Mount(const std::string& pod,
                                          const PodMount& volume) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  found->status.mounts.push_back(volume);
  return *found;
}

absl::StatusOr<Pod> FakePodManager::Unmount(const std::string& pod,
                                            const UnmountRequest& request) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  std::erase_if(found->status.mounts, [&](const PodMount& volume) {
    return volume.app == request.app && volume.target == request.target;
  });
  return *found;
}

absl::StatusOr<std::vector<NetworkCheck>> FakePodManager::CheckNetworks(
    const std::string& pod) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  RETURN_IF_ERROR(Find(pod).status());
  return checks_;
}

std::vector<GarbageItem> FakePodManager::CollectGarbage(bool dry_run) {
  absl::MutexLock lock(&mutex_);
  return dry_run ? garbage_ : std::exchange(garbage_, {});
}

RecoveryReport FakePodManager::recovery_report() {
  absl::MutexLock lock(&mutex_);
  return report_;
}

void FakePodManager::Drain(absl::Duration) {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
}

absl::Status FakePodManager::TakeFailure() {
  return std::exchange(failure_, absl::OkStatus());
}

absl::StatusOr<Pod*> FakePodManager::Find(const std::string& pod) {
  auto it = pods_.find(pod);
  if (it == pods_.end()) {
    return absl::NotFoundError(absl::StrCat("no pod \"", pod, "\""));
  }
  return &it->second;
}

absl::StatusOr<Pod> FakePodManager::Change(const std::string& pod,
                                           PodState state) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakeFailure());
  ASSIGN_OR_RETURN(Pod * found, Find(pod));
  found->status.state = state;
  Publish(PodEvent::Type::kModified, *found);
  return *found;
}

void FakePodManager::Publish(PodEvent::Type type, const Pod& pod) {
  events_.push_back({type, pod, ++sequence_});
}

}  // namespace davit::testing
