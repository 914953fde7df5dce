#include "agent/pod/testing/scripted_launcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {

class ScriptedProcess : public PodProcess {
 public:
  ScriptedProcess(ScriptedLauncher* launcher, std::string id,
                  ProcessIdentity init)
      : launcher_(launcher), id_(std::move(id)), init_(init) {}

  ProcessIdentity init() const override { return init_; }
  ProcessIdentity shim() const override { return {init_.pid - 1, 1}; }
  std::map<std::string, std::string> cgroups() const override {
    std::string path = absl::StrCat("/sys/fs/cgroup/davit/", id_);
    return {{"", path}, {"memory", path}};
  }

  absl::Status WaitReady(absl::Duration timeout) override {
    RETURN_IF_ERROR(launcher_->journal_->Enter("wait_ready"));
    absl::MutexLock lock(&launcher_->mutex_);
    auto done = [this] {
      launcher_->mutex_.AssertHeld();
      return !launcher_->hold_ready_ || !AliveLocked();
    };
    if (!launcher_->mutex_.AwaitWithTimeout(absl::Condition(&done), timeout)) {
      return absl::DeadlineExceededError("not READY in time");
    }
    if (!AliveLocked()) {
      return absl::FailedPreconditionError("it ended before it was ready");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<PodExit> WaitExit(absl::Duration timeout) override {
    absl::MutexLock lock(&launcher_->mutex_);
    auto ended = [this] {
      launcher_->mutex_.AssertHeld();
      return !AliveLocked();
    };
    if (!launcher_->mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
      return absl::DeadlineExceededError("it runs");
    }
    return ExitLocked();
  }

  absl::Status BeginStop(absl::Duration grace) override {
    {
      absl::MutexLock lock(&launcher_->mutex_);
      if (launcher_->hold_ends_) return absl::OkStatus();
    }
    return Stop(grace).status();
  }

  absl::Status WaitProcesses(absl::Duration timeout) override {
    return WaitExit(timeout).status();
  }

  absl::StatusOr<PodExit> Stop(absl::Duration grace) override {
    RETURN_IF_ERROR(
        launcher_->journal_->Enter("stop", absl::FormatDuration(grace)));
    std::function<void()> tell = [] {};
    PodExit exit;
    {
      absl::MutexLock lock(&launcher_->mutex_);
      if (AliveLocked()) {
        exit.kind = PodExit::Kind::kPowerOff;
        exit.stop_requested = true;
        exit.at = absl::Now();
        exit = launcher_->EndLocked(id_, exit, tell);
      } else {
        exit = ExitLocked();
      }
    }
    tell();
    RETURN_IF_ERROR(launcher_->journal_->Leave("stop"));
    return exit;
  }

  std::vector<BootPhase> phases() const override {
    absl::Time now = absl::Now();
    return {{"cgroup", now},
            {"clone", now},
            {"mounts", now},
            {"exec", now},
            {"ready", now}};
  }

  absl::StatusOr<std::unique_ptr<ExecSession>> AttachConsole(
      bool typing) override {
    RETURN_IF_ERROR(
        launcher_->journal_->Enter("attach_console", typing ? "typing" : ""));
    return absl::UnimplementedError("a scripted pod has no console");
  }

  absl::StatusOr<PodUsage> Usage() const override {
    return PodUsage{.memory_bytes = 4096, .tasks = 3};
  }

  absl::Status ChangeLimits(const CgroupLimits& limits) override {
    return launcher_->journal_->Enter(
        "change_limits", absl::StrCat("memory ", limits.memory_max_bytes,
                                      " cpu ", limits.cpu_millis));
  }
  absl::Status Freeze() override {
    return launcher_->journal_->Enter("freeze", "");
  }
  absl::Status Thaw() override {
    return launcher_->journal_->Enter("thaw", "");
  }

 private:
  bool AliveLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(launcher_->mutex_) {
    auto it = launcher_->machines_.find(id_);
    return it != launcher_->machines_.end() && it->second.alive;
  }
  PodExit ExitLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(launcher_->mutex_) {
    auto it = launcher_->machines_.find(id_);
    return it != launcher_->machines_.end() ? it->second.exit : PodExit();
  }

  ScriptedLauncher* const launcher_;
  const std::string id_;
  const ProcessIdentity init_;
};

std::unique_ptr<PodProcess> ScriptedLauncher::MakeProcess(
    const std::string& pod_id, const ProcessIdentity& init) {
  return std::make_unique<ScriptedProcess>(this, pod_id, init);
}

namespace {

class ScriptedPreparation : public PreparedPod {
 public:
  explicit ScriptedPreparation(std::shared_ptr<std::atomic<int>> count)
      : count_(std::move(count)) {
    ++*count_;
  }
  ~ScriptedPreparation() override { --*count_; }

 private:
  const std::shared_ptr<std::atomic<int>> count_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PreparedPod>> ScriptedLauncher::Prepare(
    const BootRequest&) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(prepare_status_);
  return std::make_unique<ScriptedPreparation>(prepared_);
}

absl::StatusOr<std::unique_ptr<PodProcess>> ScriptedLauncher::Boot(
    std::unique_ptr<PreparedPod>, const BootRequest& request,
    PodListener listener) {
  RETURN_IF_ERROR(journal_->Enter("boot"));
  ProcessIdentity init;
  {
    absl::MutexLock lock(&mutex_);
    if (machines_.count(request.pod_id) > 0) {
      return absl::AlreadyExistsError("a cgroup of this pod exists");
    }
    init = {next_pid_ += 10, 1};
    Machine machine;
    machine.init = init;
    machine.listener = std::move(listener);
    machines_[request.pod_id] = std::move(machine);
    last_request_ = request;
  }
  if (absl::Status status = journal_->Leave("boot"); !status.ok()) {
    return status;
  }
  return MakeProcess(request.pod_id, init);
}

absl::StatusOr<std::unique_ptr<PodProcess>> ScriptedLauncher::Recover(
    const std::string& pod_id, const std::string&, const std::string&,
    PodListener listener) {
  RETURN_IF_ERROR(journal_->Enter("recover"));
  absl::MutexLock lock(&mutex_);
  auto it = machines_.find(pod_id);
  if (it == machines_.end()) {
    return absl::NotFoundError("there is no trace of the pod");
  }
  it->second.listener = std::move(listener);
  return MakeProcess(pod_id, it->second.init);
}

absl::Status ScriptedLauncher::Destroy(const std::string& pod_id,
                                       const std::string&) {
  RETURN_IF_ERROR(journal_->Enter("destroy"));
  {
    absl::MutexLock lock(&mutex_);
    machines_.erase(pod_id);
    foreign_.erase(pod_id);
  }
  return journal_->Leave("destroy");
}

absl::StatusOr<std::vector<std::string>> ScriptedLauncher::ListCgroups() {
  return Known();
}

PodExit ScriptedLauncher::EndLocked(const std::string& pod_id,
                                    const PodExit& exit,
                                    std::function<void()>& tell) {
  Machine& machine = machines_[pod_id];
  machine.alive = false;
  machine.exit = exit;
  if (machine.listener.on_exit && !journal_->dead()) {
    tell = [on_exit = machine.listener.on_exit, exit] { on_exit(exit); };
  }
  return exit;
}

void ScriptedLauncher::End(const std::string& pod_id, const PodExit& exit) {
  std::function<void()> tell = [] {};
  {
    absl::MutexLock lock(&mutex_);
    EndLocked(pod_id, exit, tell);
  }
  tell();
}

void ScriptedLauncher::ForgetAll() {
  absl::MutexLock lock(&mutex_);
  machines_.clear();
}

void ScriptedLauncher::AddCgroup(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  foreign_.insert(pod_id);
}

bool ScriptedLauncher::IsAlive(const std::string& pod_id) const {
  absl::MutexLock lock(&mutex_);
  auto it = machines_.find(pod_id);
  return it != machines_.end() && it->second.alive;
}

std::vector<std::string> ScriptedLauncher::Known() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids(foreign_.begin(), foreign_.end());
  for (const auto& [id, machine] : machines_) ids.push_back(id);
  return ids;
}

BootRequest ScriptedLauncher::LastRequest() const {
  absl::MutexLock lock(&mutex_);
  return last_request_;
}

}  // namespace davit::testing
