#include "runtime/boot/fake_launcher.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/status_macros.h"

namespace davit {

// One pod, as its launcher and its processes share it.
struct FakeLauncher::Pod {
  std::string id;
  ProcessIdentity init, shim;
  mutable absl::Mutex mutex;
  PodListener listener ABSL_GUARDED_BY(mutex);
  bool ready ABSL_GUARDED_BY(mutex) = false;
  std::optional<PodExit> exit ABSL_GUARDED_BY(mutex);
  PodUsage usage ABSL_GUARDED_BY(mutex);
  std::vector<BootPhase> phases ABSL_GUARDED_BY(mutex);

  void MakeReady() {
    PodListener hear;
    {
      absl::MutexLock lock(&mutex);
      if (ready || exit.has_value()) return;
      ready = true;
      phases.push_back({"ready", absl::Now()});
      hear = listener;
    }
    if (hear.on_ready) hear.on_ready();
  }

  void End(PodExit how) {
    PodListener hear;
    {
      absl::MutexLock lock(&mutex);
      if (exit.has_value()) return;
      exit = how;
      hear = listener;
    }
    if (hear.on_exit) hear.on_exit(how);
  }
};

class FakeLauncher::Process : public PodProcess {
 public:
  Process(FakeLauncher& launcher, std::shared_ptr<Pod> pod)
      : launcher_(launcher), pod_(std::move(pod)) {}
  ~Process() override {
    absl::MutexLock lock(&pod_->mutex);
    pod_->listener = {};
  }

  ProcessIdentity init() const override { return pod_->init; }
  ProcessIdentity shim() const override { return pod_->shim; }
  std::map<std::string, std::string> cgroups() const override {
    return {{"", absl::StrCat("/sys/fs/cgroup/fake/", pod_->id, "/payload")}};
  }

  absl::Status WaitReady(absl::Duration timeout) override {
    absl::MutexLock lock(&pod_->mutex);
    auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(pod_->mutex) {
      return pod_->ready || pod_->exit.has_value();
    };
    if (!pod_->mutex.AwaitWithTimeout(absl::Condition(&decided), timeout)) {
      return absl::DeadlineExceededError("pod's systemd is not ready");
    }
    if (pod_->ready) return absl::OkStatus();
    return absl::FailedPreconditionError("pod ended before it was ready");
  }

  absl::StatusOr<PodExit> WaitExit(absl::Duration timeout) override {
    absl::MutexLock lock(&pod_->mutex);
    auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(pod_->mutex) {
      return pod_->exit.has_value();
    };
    if (!pod_->mutex.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
      return absl::DeadlineExceededError("pod has not ended");
    }
    return *pod_->exit;
  }

  absl::StatusOr<PodExit> Stop(absl::Duration grace) override {
    PodExit exit = launcher_.NoteStop(grace);
    exit.stop_requested = true;
    exit.at = absl::Now();
    pod_->End(exit);
    return WaitExit(absl::ZeroDuration());
  }

  std::vector<BootPhase> phases() const override {
    absl::MutexLock lock(&pod_->mutex);
    return pod_->phases;
  }

  absl::StatusOr<std::unique_ptr<ExecSession>> AttachConsole(bool) override {
    return absl::UnimplementedError("a fake pod has no console");
  }

  absl::StatusOr<PodUsage> Usage() const override {
    absl::MutexLock lock(&pod_->mutex);
    if (pod_->exit.has_value()) {
      return absl::FailedPreconditionError("pod has ended: it uses nothing");
    }
    return pod_->usage;
  }

 private:
  FakeLauncher& launcher_;
  std::shared_ptr<Pod> pod_;
};

std::shared_ptr<FakeLauncher::Pod> FakeLauncher::Find(
    const std::string& pod_id) const {
  absl::MutexLock lock(&mutex_);
  auto found = pods_.find(pod_id);
  return found == pods_.end() ? nullptr : found->second;
}

PodExit FakeLauncher::NoteStop(absl::Duration grace) {
  absl::MutexLock lock(&mutex_);
  stops_.push_back(grace);
  return stop_result_;
}

absl::StatusOr<std::unique_ptr<PodProcess>> FakeLauncher::Start(
    const BootRequest& request, PodListener listener) {
  auto pod = std::make_shared<Pod>();
  bool ready;
  {
    absl::MutexLock lock(&mutex_);
    absl::Status failure = std::exchange(next_start_, absl::OkStatus());
    RETURN_IF_ERROR(failure);
    auto found = pods_.find(request.pod_id);
    if (found != pods_.end()) {
      absl::MutexLock pod_lock(&found->second->mutex);
      if (!found->second->exit.has_value()) {
        return absl::AlreadyExistsError(
            absl::StrCat("pod ", request.pod_id, " is running"));
      }
    }
    pod->id = request.pod_id;
    pod->init = {next_pid_++, 1};
    pod->shim = {next_pid_++, 1};
    pods_[request.pod_id] = pod;
    started_.push_back(request);
    ready = !hold_ready_;
  }
  {
    absl::MutexLock lock(&pod->mutex);
    pod->listener = std::move(listener);
    for (const char* phase : {"cgroup", "clone", "mounts", "exec"}) {
      pod->phases.push_back({phase, absl::Now()});
    }
  }
  if (ready) pod->MakeReady();
  return std::make_unique<Process>(*this, std::move(pod));
}

absl::StatusOr<std::unique_ptr<PodProcess>> FakeLauncher::Recover(
    const std::string& pod_id, const std::string&, const std::string&,
    PodListener listener) {
  std::shared_ptr<Pod> pod = Find(pod_id);
  if (pod == nullptr) {
    return absl::NotFoundError(absl::StrCat("no trace of pod ", pod_id));
  }
  std::optional<PodExit> exit;
  bool ready;
  {
    absl::MutexLock lock(&pod->mutex);
    pod->listener = listener;
    exit = pod->exit;
    ready = pod->ready;
  }
  if (ready && !exit.has_value() && listener.on_ready) listener.on_ready();
  if (exit.has_value() && listener.on_exit) listener.on_exit(*exit);
  return std::make_unique<Process>(*this, std::move(pod));
}

absl::Status FakeLauncher::Destroy(const std::string& pod_id,
                                   const std::string&) {
  std::shared_ptr<Pod> pod = Find(pod_id);
  {
    absl::MutexLock lock(&mutex_);
    absl::Status failure = std::exchange(next_destroy_, absl::OkStatus());
    RETURN_IF_ERROR(failure);
    destroyed_.push_back(pod_id);
    pods_.erase(pod_id);
  }
  if (pod != nullptr) {
    pod->End(
        {.kind = PodExit::Kind::kSignaled, .signal = 9, .at = absl::Now()});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakeLauncher::ListCgroups() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, pod] : pods_) {
    absl::MutexLock pod_lock(&pod->mutex);
    if (!pod->exit.has_value()) ids.push_back(id);
  }
  return ids;
}

void FakeLauncher::FailNextStart(absl::Status error) {
  absl::MutexLock lock(&mutex_);
  next_start_ = std::move(error);
}

void FakeLauncher::FailNextDestroy(absl::Status error) {
  absl::MutexLock lock(&mutex_);
  next_destroy_ = std::move(error);
}

void FakeLauncher::HoldReady(bool hold) {
  absl::MutexLock lock(&mutex_);
  hold_ready_ = hold;
}

void FakeLauncher::MakeReady(const std::string& pod_id) {
  if (std::shared_ptr<Pod> pod = Find(pod_id)) pod->MakeReady();
}

void FakeLauncher::SetStatus(const std::string& pod_id,
                             const std::string& status) {
  std::shared_ptr<Pod> pod = Find(pod_id);
  if (pod == nullptr) return;
  PodListener hear;
  {
    absl::MutexLock lock(&pod->mutex);
    hear = pod->listener;
  }
  if (hear.on_status) hear.on_status(status);
}

void FakeLauncher::End(const std::string& pod_id, PodExit exit) {
  if (std::shared_ptr<Pod> pod = Find(pod_id)) pod->End(exit);
}

void FakeLauncher::SetUsage(const std::string& pod_id, PodUsage usage) {
  std::shared_ptr<Pod> pod = Find(pod_id);
  if (pod == nullptr) return;
  absl::MutexLock lock(&pod->mutex);
  pod->usage = usage;
}

void FakeLauncher::SetStopResult(PodExit exit) {
  absl::MutexLock lock(&mutex_);
  stop_result_ = exit;
}

std::vector<BootRequest> FakeLauncher::started() const {
  absl::MutexLock lock(&mutex_);
  return started_;
}

std::vector<std::string> FakeLauncher::destroyed() const {
  absl::MutexLock lock(&mutex_);
  return destroyed_;
}

std::vector<absl::Duration> FakeLauncher::stops() const {
  absl::MutexLock lock(&mutex_);
  return stops_;
}

bool FakeLauncher::IsRunning(const std::string& pod_id) const {
  std::shared_ptr<Pod> pod = Find(pod_id);
  if (pod == nullptr) return false;
  absl::MutexLock lock(&pod->mutex);
  return !pod->exit.has_value();
}

}  // namespace davit
