#include "agent/pod/pod_manager_impl.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "agent/pod/app_state.h"
#include "agent/pod/live_changes.h"
#include "agent/pod/pod_state.h"
#include "agent/pod/reconcile.h"
#include "agent/pod/recover.h"
#include "agent/pod/run_plan.h"
#include "agent/pod/run_pod.h"
#include "agent/pod/spec_needs.h"
#include "agent/pod/stop_pod.h"
#include "agent/pod/volumes.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

// Pods that end at the same moment are cleaned up in parallel up to this.
constexpr size_t kMaxWorkers = 32;

std::string PodNamed(const std::string& name) {
  return absl::StrCat("pod \"", name, "\"");
}

// Operations under way; refuses new ones once it is closed. Thread-safe.
class OperationGate {
 public:
  absl::Status Enter() {
    absl::MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError("the agent is draining");
    ++inside_;
    return absl::OkStatus();
  }

  void Leave() {
    absl::MutexLock lock(&mutex_);
    --inside_;
  }

  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

  bool WaitEmpty(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return inside_ == 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&empty), timeout);
  }

 private:
  absl::Mutex mutex_;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class PodManagerImpl : public PodManager {
 public:
  PodManagerImpl(const PodManagerOptions& options, const PodManagerDeps& deps,
                 StepObserver* observer) {
    context_.options = options;
    context_.deps = deps;
    context_.observer = observer;
    context_.paths = {options.root, options.state};
    context_.events = std::make_shared<PodEvents>(options.event_capacity);
    context_.workers = std::make_shared<WorkerPool>(kMaxWorkers);
    context_.detacher = std::make_unique<Detacher>(deps.network);
    context_.launcher_copy = std::make_unique<LauncherCopy>(
        options.app_launcher, context_.paths.launcher_dir());
  }

  ~PodManagerImpl() override {
    Drain(absl::InfiniteDuration());
    for (const auto& pod : context_.table.All()) {
      context_.deps.apps->Unwatch(pod->id());
    }
    context_.workers->Shutdown();
  }

  absl::StatusOr<RecoveryReport> Recover() override;
  absl::StatusOr<Pod> Create(const PodSpec& spec) override;
  absl::StatusOr<Pod> Start(const std::string& pod) override;
  absl::StatusOr<Pod> Run(const PodSpec& spec) override;
  absl::StatusOr<Pod> Stop(const std::string& pod,
                           std::optional<absl::Duration> grace) override;
  absl::StatusOr<bool> Remove(const std::string& pod,
                              std::optional<absl::Duration> grace) override;
  absl::StatusOr<Pod> Get(const std::string& pod) override;
  PodList List() override { return context_.events->List(); }
  absl::StatusOr<PodUsage> Usage(const std::string& pod) override;
  absl::StatusOr<std::unique_ptr<PodSubscription>> Subscribe(
      uint64_t sequence) override {
    return context_.events->Subscribe(sequence);
  }
  absl::StatusOr<LogOptions> LogSource(const std::string& pod,
                                       const std::string& app) override;
  bool LogEnded(const std::string& pod, const std::string& app) override;
  absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const std::string& pod, ExecRequest request) override;
  absl::StatusOr<std::unique_ptr<ExecSession>> Attach(const std::string& pod,
                                                      bool typing) override;
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
  std::vector<GarbageItem> CollectGarbage(bool dry_run) override {
    return davit::CollectGarbage(context_, dry_run);
  }
  RecoveryReport recovery_report() override;
  void Drain(absl::Duration timeout) override;

 private:
  using LivePodPtr = std::shared_ptr<LivePod>;

  absl::StatusOr<LivePodPtr> MakePod(const PodSpec& spec);
  absl::StatusOr<LivePodPtr> MakeReserved(const PodSpec& spec,
                                          const std::string& id);
  absl::Status StartLocked(const LivePodPtr& pod);
  absl::Status StopWaiting(const LivePodPtr& pod,
                           std::optional<absl::Duration> grace);
  absl::Status RemoveWaiting(const LivePodPtr& pod,
                             std::optional<absl::Duration> grace);
  // The processes of a running pod. FailedPrecondition.
  absl::StatusOr<std::shared_ptr<PodProcess>> RunningProcess(
      const LivePod& pod) const;

  PodContext context_;
  OperationGate gate_;
  absl::Mutex report_mutex_;
  RecoveryReport report_ ABSL_GUARDED_BY(report_mutex_);
};

// Holds the gate open for the rest of the caller's scope.
#define DAVIT_ENTER_GATE()        \
  RETURN_IF_ERROR(gate_.Enter()); \
  absl::Cleanup leave_gate = [this] { gate_.Leave(); }

absl::StatusOr<RecoveryReport> PodManagerImpl::Recover() {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(RecoveryReport report, RecoverPods(context_));
  absl::MutexLock lock(&report_mutex_);
  report_ = report;
  return report;
}

RecoveryReport PodManagerImpl::recovery_report() {
  absl::MutexLock lock(&report_mutex_);
  return report_;
}

absl::StatusOr<PodManagerImpl::LivePodPtr> PodManagerImpl::MakePod(
    const PodSpec& spec) {
  std::string id = NewUuid();
  absl::ReaderMutexLock lock(&context_.garbage);
  RETURN_IF_ERROR(context_.table.Reserve(spec.name, id));
  absl::StatusOr<LivePodPtr> pod = MakeReserved(spec, id);
  if (!pod.ok()) context_.table.Unreserve(spec.name);
  return pod;
}

absl::StatusOr<PodManagerImpl::LivePodPtr> PodManagerImpl::MakeReserved(
    const PodSpec& spec, const std::string& id) {
  Pod value;
  value.id = id;
  value.spec = spec;
  value.created_at = absl::Now();
  RETURN_IF_ERROR(davit::CheckNetworks(context_, spec));
  ASSIGN_OR_RETURN(PodImages images, HoldImages(context_, value));
  value.root_image_id = images.root->image().id;
  std::vector<std::string> image_ids;
  for (const auto& hold : images.apps) image_ids.push_back(hold->image().id);
  value.status.apps = NewAppStates(spec, image_ids);
  RETURN_IF_ERROR(context_.deps.store->Create(value), "write record");
  auto pod =
      std::make_shared<LivePod>(std::move(value), context_.paths.ForPod(id),
                                context_.deps.store, context_.events);
  {
    absl::MutexLock lock(&pod->operation);
    pod->images = std::move(images);
  }
  context_.table.Insert(pod);
  pod->Announce();
  return pod;
}

absl::StatusOr<Pod> PodManagerImpl::Create(const PodSpec& spec) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, MakePod(spec),
                   absl::StrCat("create ", PodNamed(spec.name)));
  return pod->Get();
}

absl::Status PodManagerImpl::StartLocked(const LivePodPtr& pod) {
  absl::Status status;
  {
    absl::MutexLock lock(&pod->operation);
    if (pod->deleted()) {
      return absl::AbortedError("removed before its start");
    }
    if (pod->state() == PodState::kRunning) return absl::OkStatus();
    status = StartPod(context_, pod);
  }
  RetryIfNeeded(context_, pod);
  return status;
}

absl::StatusOr<Pod> PodManagerImpl::Start(const std::string& reference) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  RETURN_IF_ERROR(StartLocked(pod),
                  absl::StrCat("start ", PodNamed(pod->name())));
  return pod->Get();
}

absl::StatusOr<Pod> PodManagerImpl::Run(const PodSpec& spec) {
  DAVIT_ENTER_GATE();
  std::string context = absl::StrCat("run ", PodNamed(spec.name));
  // Its start will ask again, when it takes them.
  RETURN_IF_ERROR(context_.host_ports.CheckFree(spec), context);
  ASSIGN_OR_RETURN(LivePodPtr pod, MakePod(spec), context);
  absl::Status started = StartLocked(pod);
  if (started.ok()) return pod->Get();
  absl::Status removed = RemoveWaiting(pod, absl::ZeroDuration());
  if (removed.ok()) return Annotate(started, context);
  return Annotate(
      absl::Status(started.code(),
                   absl::StrCat(started.message(),
                                "; its removal failed and is retried: ",
                                removed.message())),
      context);
}

absl::Status PodManagerImpl::StopWaiting(const LivePodPtr& pod,
                                         std::optional<absl::Duration> grace) {
  StartInterrupt interrupt(*pod);
  absl::Status status;
  {
    absl::MutexLock lock(&pod->operation);
    if (!pod->deleted()) status = StopPod(context_, *pod, {grace, "Stopped"});
  }
  RetryIfNeeded(context_, pod);
  return status;
}

absl::StatusOr<Pod> PodManagerImpl::Stop(const std::string& reference,
                                         std::optional<absl::Duration> grace) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  RETURN_IF_ERROR(StopWaiting(pod, grace),
                  absl::StrCat("stop ", PodNamed(pod->name())));
  return pod->Get();
}

absl::Status PodManagerImpl::RemoveWaiting(
    const LivePodPtr& pod, std::optional<absl::Duration> grace) {
  StartInterrupt interrupt(*pod);
  absl::Status status;
  {
    absl::MutexLock lock(&pod->operation);
    status = RemovePod(context_, *pod, grace);
  }
  RetryIfNeeded(context_, pod);
  return status;
}

absl::StatusOr<bool> PodManagerImpl::Remove(
    const std::string& reference, std::optional<absl::Duration> grace) {
  DAVIT_ENTER_GATE();
  absl::StatusOr<LivePodPtr> pod = context_.table.Find(reference);
  if (absl::IsNotFound(pod.status())) return false;
  RETURN_IF_ERROR(pod.status());
  RETURN_IF_ERROR(RemoveWaiting(*pod, grace),
                  absl::StrCat("remove ", PodNamed((*pod)->name())));
  return true;
}

absl::StatusOr<Pod> PodManagerImpl::Get(const std::string& reference) {
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  return pod->Get();
}

absl::StatusOr<std::shared_ptr<PodProcess>> PodManagerImpl::RunningProcess(
    const LivePod& pod) const {
  std::shared_ptr<PodProcess> process = pod.process();
  PodState state = pod.state();
  if (process != nullptr && state == PodState::kRunning) return process;
  return absl::FailedPreconditionError(absl::StrCat(
      PodNamed(pod.name()), " is not running: it is ", PodStateName(state)));
}

absl::StatusOr<PodUsage> PodManagerImpl::Usage(const std::string& reference) {
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  ASSIGN_OR_RETURN(std::shared_ptr<PodProcess> process, RunningProcess(*pod));
  return process->Usage();
}

// The app that a call means: the named one, else the pod's only one; empty for
// a machine without apps.
absl::StatusOr<std::string> ChooseApp(const LivePod& pod,
                                      const std::string& app) {
  std::vector<std::string> names;
  for (const AppState& state : pod.Get().status.apps) {
    names.push_back(state.name);
  }
  if (app.empty() && names.empty()) return "";
  if (app.empty() && names.size() == 1) return names[0];
  if (app.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("app: must be given for ", PodNamed(pod.name()),
                     ", choose one of: ", absl::StrJoin(names, ", ")));
  }
  if (std::find(names.begin(), names.end(), app) != names.end()) return app;
  return absl::NotFoundError(
      absl::StrCat(PodNamed(pod.name()), " has no app \"", app, "\""));
}

absl::StatusOr<LogOptions> PodManagerImpl::LogSource(
    const std::string& reference, const std::string& app) {
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  LogOptions options;
  options.journal_dir = pod->paths().journal;
  ASSIGN_OR_RETURN(options.app, ChooseApp(*pod, app));
  return options;
}

bool PodManagerImpl::LogEnded(const std::string& reference,
                              const std::string& app) {
  absl::StatusOr<LivePodPtr> pod = context_.table.Find(reference);
  if (!pod.ok() || !MayHaveProcesses((*pod)->state())) return true;
  std::shared_ptr<PodProcess> process = (*pod)->process();
  if (app.empty() || process == nullptr) return false;
  Pod value = (*pod)->Get();
  bool ended =
      std::any_of(value.status.apps.begin(), value.status.apps.end(),
                  [&](const AppState& state) {
                    return state.name == app &&
                           state.status.state == AppStatus::State::kTerminated;
                  });
  if (!ended || !context_.deps.logs_complete) return false;
  // What cannot be told is asked again; in the end by the pod's own end.
  return context_.deps.logs_complete({value.id, process->init()}, app)
      .value_or(false);
}

absl::StatusOr<std::unique_ptr<ExecSession>> PodManagerImpl::Exec(
    const std::string& reference, ExecRequest request) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  if (request.login_user.empty()) {
    ASSIGN_OR_RETURN(request.app, ChooseApp(*pod, request.app));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<PodProcess> process, RunningProcess(*pod));
  if (pod->Get().status.paused) {
    return absl::FailedPreconditionError(
        absl::StrCat(PodNamed(pod->name()), " is paused"));
  }
  return context_.deps.apps->Exec({pod->id(), process->init()}, request);
}

absl::StatusOr<std::unique_ptr<ExecSession>> PodManagerImpl::Attach(
    const std::string& reference, bool typing) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  ASSIGN_OR_RETURN(std::shared_ptr<PodProcess> process, RunningProcess(*pod));
  return process->AttachConsole(typing);
}

absl::StatusOr<Pod> PodManagerImpl::ChangeResources(
    const std::string& reference, const std::string& app,
    const ResourceRequirements& change) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(davit::ChangeResources(context_, *pod, app, change),
                  PodNamed(pod->name()));
  return pod->Get();
}

absl::StatusOr<Pod> PodManagerImpl::Pause(const std::string& reference) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  RETURN_IF_ERROR(PausePod(*pod), PodNamed(pod->name()));
  return pod->Get();
}

absl::StatusOr<Pod> PodManagerImpl::Unpause(const std::string& reference) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  RETURN_IF_ERROR(UnpausePod(context_, pod), PodNamed(pod->name()));
  return pod->Get();
}

absl::StatusOr<Pod> PodManagerImpl::Mount(const std::string& reference,
                                          const PodMount& volume) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  RETURN_IF_ERROR(MountVolume(context_, *pod, volume), PodNamed(pod->name()));
  return pod->Get();
}

absl::StatusOr<Pod> PodManagerImpl::Unmount(const std::string& reference,
                                            const UnmountRequest& request) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  RETURN_IF_ERROR(UnmountVolume(context_, *pod, request),
                  PodNamed(pod->name()));
  return pod->Get();
}

absl::StatusOr<std::vector<NetworkCheck>> PodManagerImpl::CheckNetworks(
    const std::string& reference) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  // A stop would take away what is being checked.
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  Pod value = pod->Get();
  PodNetworkRequest all = PlanNetwork(value, value.status.netns_path);
  std::vector<NetworkCheck> checks;
  for (const NetworkRequest& network : all.networks) {
    PodNetworkRequest one = all;
    one.networks = {network};
    checks.push_back(
        {network.network, network.ifname, context_.deps.network->Check(one)});
  }
  return checks;
}

absl::StatusOr<UniqueFd> PodManagerImpl::Dial(const std::string& reference,
                                              uint16_t port) {
  DAVIT_ENTER_GATE();
  ASSIGN_OR_RETURN(LivePodPtr pod, context_.table.Find(reference));
  RETURN_IF_ERROR(RunningProcess(*pod).status());
  Pod value = pod->Get();
  ASSIGN_OR_RETURN(UniqueFd fd,
                   context_.deps.dial(UsesHostNetwork(value.spec)
                                          ? context_.options.node_netns
                                          : value.status.netns_path,
                                      port),
                   PodNamed(value.spec.name));
  return fd;
}

void PodManagerImpl::Drain(absl::Duration timeout) {
  absl::Time deadline = absl::Now() + timeout;
  gate_.Close();
  context_.workers->StopAccepting();
  context_.events->Shutdown();
  gate_.WaitEmpty(timeout);
  context_.workers->WaitIdle(deadline - absl::Now());
}

#undef DAVIT_ENTER_GATE

}  // namespace

std::unique_ptr<PodManager> NewPodManager(const PodManagerOptions& options,
                                          const PodManagerDeps& deps,
                                          StepObserver* observer) {
  return std::make_unique<PodManagerImpl>(options, deps, observer);
}

}  // namespace davit
