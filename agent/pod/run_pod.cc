#include "agent/pod/run_pod.h"

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/pod/app_plan.h"
#include "agent/pod/app_state.h"
#include "agent/pod/confinement.h"
#include "agent/pod/end_pod.h"
#include "agent/pod/intents.h"
#include "agent/pod/pod_state.h"
#include "agent/pod/run_plan.h"
#include "agent/pod/spec_needs.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/cgroup/quick_moves.h"

namespace davit {
namespace {

// The image lacks what the spec wants: the node is to be fixed first. NotFound
// is kept for unknown images and networks.
absl::Status AsPrecondition(const absl::Status& status,
                            absl::string_view context) {
  return Annotate(absl::FailedPreconditionError(status.message()), context);
}

// One start. Made for one call of StartPod.
class PodStarter {
 public:
  PodStarter(PodContext& context, const std::shared_ptr<LivePod>& pod)
      : context_(context), pod_(pod), spec_(pod->Get().spec) {}

  absl::Status Start() {
    RETURN_IF_ERROR(Check());
    Begin();
    absl::Status status = RunSteps();
    return status.ok() ? status : Fail(status);
  }

 private:
  using Work = absl::Status (PodStarter::*)();

  // Table of contents.
  absl::Status RunSteps() {
    RETURN_IF_ERROR(Step("image", &PodStarter::TakeImages));
    RETURN_IF_ERROR(RecordIntents());
    if (HasOwnUsers(spec_)) {
      RETURN_IF_ERROR(Step("userns", &PodStarter::MakeUserns));
    }
    BeginPreparing();
    RETURN_IF_ERROR(Step("overlay", &PodStarter::MountRoots));
    if (!UsesHostNetwork(spec_)) {
      RETURN_IF_ERROR(Step("netns", &PodStarter::MakeNetns));
    }
    if (!JoinedNetworks(spec_).empty()) {
      RETURN_IF_ERROR(Step("cni_add", &PodStarter::AttachNetworks));
    }
    RETURN_IF_ERROR(Boot());
    if (!apps_.empty()) {
      RETURN_IF_ERROR(Step("apps", &PodStarter::StartApps));
    }
    return EnterRunning();
  }

  absl::Status Check();
  void Begin();
  absl::Status TakeImages();
  absl::Status MakeUserns();
  absl::Status MountRoots();
  absl::Status MountApp(size_t index);
  absl::StatusOr<AppSpec> LookUpApp(const AppPlan& plan);
  absl::StatusOr<std::string> PinNetns();
  absl::Status MakeNetns();
  absl::Status AttachNetworks();
  void BeginPreparing();
  absl::Status Boot();
  absl::Status LaunchSystemd();
  absl::Status AwaitReady();
  absl::Status StartApps();
  absl::Status EnterRunning();
  absl::Status WatchApps();
  absl::Status Fail(const absl::Status& cause);

  absl::Status Step(absl::string_view name, Work work);
  absl::Status CheckNotInterrupted() const;
  // Writes what is going to be done: all of it at once, because each write
  // waits for the disk.
  absl::Status RecordIntents();
  // Registers the undo of a recorded intent, before its deed.
  void Begin(IntentKind kind);
  // Takes what was never begun off the record's value.
  void ForgetUnbegun();
  void AddPhase(absl::string_view name, absl::Duration took);
  void AddBootPhases(absl::Time begun);
  PodRef Ref() const;
  std::vector<std::string> AppNames() const;

  PodContext& context_;
  const std::shared_ptr<LivePod> pod_;
  const PodSpec spec_;
  PodConfinement confinement_;
  std::vector<AppSpec> apps_;
  PodUserns userns_;                             // empty path: the host's users
  std::optional<QuickMoves::Hold> quick_moves_;  // once it has its cgroups
  absl::StatusOr<PodApps::SystemState> system_;
  Rollback rollback_;
  std::set<IntentKind> begun_;  // their undos are registered
  // Shim and cgroups, made beside root and network.
  std::future<absl::StatusOr<std::unique_ptr<PreparedPod>>> preparing_;
};

absl::Status PodStarter::CheckNotInterrupted() const {
  if (!pod_->interrupted()) return absl::OkStatus();
  return absl::AbortedError("stopped or removed during its start");
}

absl::Status PodStarter::Step(absl::string_view name, Work work) {
  RETURN_IF_ERROR(CheckNotInterrupted());
  absl::Time begun = absl::Now();
  absl::Status status =
      ObserveStep(context_.observer, name, [&] { return (this->*work)(); });
  AddPhase(name, absl::Now() - begun);
  return status;
}

void PodStarter::AddPhase(absl::string_view name, absl::Duration took) {
  pod_->UpdateQuietly([&](Pod& pod) {
    pod.status.start_phases.push_back({std::string(name), took});
  });
}

absl::Status PodStarter::RecordIntents() {
  RETURN_IF_ERROR(CheckNotInterrupted());
  std::vector<IntentKind> kinds;
  if (HasOwnUsers(spec_)) kinds.push_back(IntentKind::kUserns);
  kinds.push_back(IntentKind::kOverlay);
  if (!UsesHostNetwork(spec_)) kinds.push_back(IntentKind::kNetns);
  if (!JoinedNetworks(spec_).empty()) kinds.push_back(IntentKind::kNetwork);
  kinds.push_back(IntentKind::kBoot);
  return BeginIntents(*pod_, kinds);
}

void PodStarter::Begin(IntentKind kind) {
  begun_.insert(kind);
  rollback_.Add(absl::StrCat("undo ", IntentKindName(kind)),
                [this, kind] { return UndoIntent(context_, *pod_, kind); });
}

void PodStarter::ForgetUnbegun() {
  pod_->UpdateQuietly([&](Pod& pod) {
    std::erase_if(pod.intents, [&](const Intent& intent) {
      return begun_.count(intent.kind) == 0;
    });
  });
}

// What can be refused before anything is done.
absl::Status PodStarter::Check() {
  PodState state = pod_->state();
  if (pod_->Get().remove_requested) {
    return absl::FailedPreconditionError("the pod is being removed");
  }
  if (!CanTransition(state, PodState::kStarting)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the pod is ", PodStateName(state)));
  }
  RETURN_IF_ERROR(CheckNotInterrupted());
  ASSIGN_OR_RETURN(confinement_,
                   ResolveConfinement(spec_, context_.options.seccomp_dir));
  RETURN_IF_ERROR(CheckNetworks(context_, spec_));
  if (!pod_->Get().intents.empty()) {
    absl::Status undone = UndoAllIntents(context_, *pod_);
    SaveUndone(context_, *pod_);
    RETURN_IF_ERROR(undone, "undo what an earlier run left");
  }
  return context_.host_ports.Claim(pod_->Get());
}

// The pod is STARTING, with the traces of an earlier run gone. In memory: the
// first intent writes it, and before that there is nothing to know.
void PodStarter::Begin() {
  pod_->BeginRun();
  absl::Time now = absl::Now();
  std::string host_ip;
  if (context_.deps.node_address) host_ip = context_.deps.node_address();
  pod_->Update([&](Pod& pod) {
    PodStatus fresh;
    fresh.host_ip = host_ip;
    fresh.state = PodState::kStarting;
    fresh.started_at = now;
    fresh.apps = std::move(pod.status.apps);
    for (AppState& app : fresh.apps) {
      if (app.status.finished_at != absl::InfinitePast()) app.last = app.status;
      app.status = AppStatus();
      app.status.reason = "ContainerCreating";
      app.started = false;
    }
    pod.status = std::move(fresh);
  });
}

absl::Status PodStarter::TakeImages() {
  pod_->operation.AssertHeld();
  if (pod_->images.root == nullptr) {
    ASSIGN_OR_RETURN(pod_->images, HoldImages(context_, pod_->Get()));
  }
  const Image& root = pod_->images.root->image();
  if (!root.bootable) {
    return absl::FailedPreconditionError(
        absl::StrCat("root image has no systemd: ", root.id));
  }
  return absl::OkStatus();
}

absl::Status PodStarter::MakeUserns() {
  Begin(IntentKind::kUserns);
  const std::string& directory = pod_->paths().runtime_dir;
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN(userns_, context_.deps.userns->Prepare(directory),
                   "make user namespace");
  pod_->UpdateQuietly([&](Pod& pod) { pod.status.userns = userns_; });
  return absl::OkStatus();
}

absl::Status PodStarter::MountRoots() {
  pod_->operation.AssertHeld();
  Begin(IntentKind::kOverlay);
  RETURN_IF_ERROR(context_.deps.rootfs->MountOverlay(PlanRootOverlay(
                      pod_->paths(), *pod_->images.root, userns_)),
                  "mount root");
  RETURN_IF_ERROR(MakeDirectories(pod_->paths().empty));
  RETURN_IF_ERROR(context_.deps.rootfs->MountOverlay(
                      PlanJournalOverlay(pod_->paths(), userns_)),
                  "mount journal");
  for (size_t i = 0; i < spec_.containers.size(); ++i) {
    RETURN_IF_ERROR(MountApp(i),
                    absl::StrCat("app \"", spec_.containers[i].name, "\""));
  }
  return absl::OkStatus();
}

absl::Status PodStarter::MountApp(size_t index) {
  pod_->operation.AssertHeld();
  const std::string& name = spec_.containers[index].name;
  const ImageHold& image = *pod_->images.apps[index];
  ASSIGN_OR_RETURN(AppPlan plan, PlanApp(spec_, index, image.image()));
  RETURN_IF_ERROR(context_.deps.rootfs->MakeMountPoint(
      pod_->paths().rootfs, AppRootInPod(name), userns_));
  RETURN_IF_ERROR(context_.deps.rootfs->MountOverlay(
      PlanAppOverlay(pod_->paths(), name, image, userns_)));
  ASSIGN_OR_RETURN(AppSpec app, LookUpApp(plan));
  app.confinement = confinement_.apps[index];
  apps_.push_back(std::move(app));
  return absl::OkStatus();
}

absl::StatusOr<AppSpec> PodStarter::LookUpApp(const AppPlan& plan) {
  std::string root = pod_->paths().AppRoot(plan.spec.name);
  absl::StatusOr<std::string> command = context_.deps.rootfs->ResolveCommand(
      root, plan.spec.argv[0], plan.path_variable, plan.spec.working_dir);
  if (!command.ok()) return AsPrecondition(command.status(), "command");
  absl::StatusOr<ResolvedUser> user =
      context_.deps.rootfs->ResolveUser(root, plan.user);
  if (!user.ok()) return AsPrecondition(user.status(), "user");
  return ResolveApp(plan, *command, *user);
}

// Its root configures the network only if the namespace is its own.
absl::StatusOr<std::string> PodStarter::PinNetns() {
  PodNetwork& network = *context_.deps.network;
  if (userns_.path.empty()) return network.CreateNetns(pod_->id());
  ASSIGN_OR_RETURN(UniqueFd netns, context_.deps.userns->CreateNetns(userns_));
  return network.AdoptNetns(pod_->id(), netns.get());
}

absl::Status PodStarter::MakeNetns() {
  Begin(IntentKind::kNetns);
  ASSIGN_OR_RETURN(std::string path, PinNetns(), "create netns");
  pod_->UpdateQuietly([&](Pod& pod) { pod.status.netns_path = path; });
  return absl::OkStatus();
}

absl::Status PodStarter::AttachNetworks() {
  Begin(IntentKind::kNetwork);
  Pod pod = pod_->Get();
  ASSIGN_OR_RETURN(
      std::vector<InterfaceStatus> interfaces,
      context_.deps.network->Attach(PlanNetwork(pod, pod.status.netns_path)),
      "attach networks");
  pod_->UpdateQuietly([&](Pod& pod) { pod.status.interfaces = interfaces; });
  return absl::OkStatus();
}

absl::Status MakeForBoot(const PodPaths& paths, LauncherCopy& launcher) {
  RETURN_IF_ERROR(MakeDirectories(paths.launcher_dir));
  RETURN_IF_ERROR(MakeDirectories(paths.empty));
  RETURN_IF_ERROR(MakeDirectories(paths.runtime_dir, 0700));
  // Of an earlier run; it must not be taken for this one's.
  RETURN_IF_ERROR(RemoveFile(paths.exit_file));
  return launcher.LinkTo(paths.app_launcher);
}

void PodStarter::BeginPreparing() {
  preparing_ =
      std::async(std::launch::async,
                 [this, launcher = context_.deps.launcher,
                  paths = pod_->paths(), program = context_.launcher_copy.get(),
                  request = PlanPreparation(pod_->Get(), pod_->paths())]()
                     -> absl::StatusOr<std::unique_ptr<PreparedPod>> {
                   RETURN_IF_ERROR(MakeForBoot(paths, *program));
                   auto prepared = launcher->Prepare(request);
                   // Not before: its first wait is under the lock of all
                   // cgroups. It is over once there are root and network.
                   quick_moves_.emplace(context_.deps.quick_moves);
                   return prepared;
                 });
}

// The launcher's own marks time these two: cgroup, clone, mounts, exec, ready.
absl::Status PodStarter::Boot() {
  RETURN_IF_ERROR(CheckNotInterrupted());
  absl::Time begun = absl::Now();
  Begin(IntentKind::kBoot);
  absl::Status status = LaunchSystemd();
  if (status.ok()) status = CheckNotInterrupted();
  if (status.ok()) status = AwaitReady();
  AddBootPhases(begun);
  return status;
}

absl::Status PodStarter::LaunchSystemd() {
  ASSIGN_OR_RETURN(std::unique_ptr<PreparedPod> prepared, preparing_.get(),
                   "boot");
  BootInputs inputs;
  inputs.paths = pod_->paths();
  inputs.apps = apps_;
  // A node without the file has no DNS of its own.
  inputs.node_resolv_conf = ReadFile(context_.options.resolv_conf).value_or("");
  inputs.node_netns = context_.options.node_netns;
  inputs.ready_timeout = context_.options.ready_timeout;
  inputs.confinement = confinement_.machine;
  ASSIGN_OR_RETURN(std::shared_ptr<PodProcess> process,
                   context_.deps.launcher->Boot(std::move(prepared),
                                                PlanBoot(pod_->Get(), inputs),
                                                ListenToRun(context_, pod_)),
                   "boot");
  pod_->SetProcess(process);
  DnsConfig dns = PlanDns(pod_->Get(), inputs.node_resolv_conf);
  std::set<std::string> cgroups;
  for (const auto& [controller, path] : process->cgroups()) {
    cgroups.insert(path);
  }
  pod_->UpdateQuietly([&](Pod& pod) {
    pod.status.init = process->init();
    pod.status.dns = dns;
    pod.status.cgroups.assign(cgroups.begin(), cgroups.end());
  });
  return absl::OkStatus();
}

absl::Status PodStarter::AwaitReady() {
  return Annotate(pod_->process()->WaitReady(context_.options.ready_timeout),
                  "wait for the pod's systemd");
}

void PodStarter::AddBootPhases(absl::Time begun) {
  std::shared_ptr<PodProcess> process = pod_->process();
  if (process == nullptr) return;
  for (const BootPhase& phase : process->phases()) {
    absl::Duration took = std::max(phase.at - begun, absl::ZeroDuration());
    AddPhase(phase.name, took);
    if (context_.observer != nullptr) {
      context_.observer->OnStep(phase.name, took, absl::OkStatus());
    }
    begun = std::max(begun, phase.at);
  }
}

PodRef PodStarter::Ref() const { return {pod_->id(), pod_->process()->init()}; }

std::vector<std::string> PodStarter::AppNames() const {
  std::vector<std::string> names;
  for (const AppSpec& app : apps_) names.push_back(app.name);
  return names;
}

absl::Status PodStarter::StartApps() {
  const std::vector<std::string> names = AppNames();
  ASSIGN_OR_RETURN(
      PodApps::StartedApps started,
      context_.deps.apps->StartAll(Ref(), names, context_.options.apps_timeout),
      "start apps");
  pod_->UpdateQuietly([&](Pod& pod) {
    for (size_t i = 0; i < names.size(); ++i) {
      for (AppState& app : pod.status.apps) {
        if (app.name == names[i]) MergeAppStatus(started.statuses[i], app);
      }
    }
  });
  system_ = std::move(started.system);
  return WatchApps();
}

absl::Status PodStarter::WatchApps() {
  rollback_.Add("unwatch apps", [this] {
    context_.deps.apps->Unwatch(pod_->id());
    return absl::OkStatus();
  });
  return Annotate(context_.deps.apps->Watch(Ref(), AppNames(),
                                            ListenToApps(context_, pod_)),
                  "watch apps");
}

// On disk first: a pod that runs is never taken for a half-made one.
absl::Status PodStarter::EnterRunning() {
  RETURN_IF_ERROR(CheckNotInterrupted());
  // What systemd thinks of itself is for people; a start does not depend on it.
  if (apps_.empty()) system_ = context_.deps.apps->GetSystemState(Ref());
  pod_->UpdateQuietly([&](Pod& pod) {
    pod.status.system_state = system_.ok() ? system_->state : "";
  });
  auto run = [](Pod& pod) { pod.status.state = PodState::kRunning; };
  RETURN_IF_ERROR(pod_->RecordUnlessInterrupted(run), "write record");
  rollback_.Commit();
  return absl::OkStatus();
}

// Undoes everything; `cause` is told to the caller and kept in the record.
absl::Status PodStarter::Fail(const absl::Status& cause) {
  absl::Status told = cause;
  if (absl::Status aborted = CheckNotInterrupted(); !aborted.ok()) {
    told = aborted;
  }
  if (preparing_.valid()) {
    preparing_.get().status().IgnoreError();  // `cause` came first
    Begin(IntentKind::kBoot);
  }
  ForgetUnbegun();
  absl::Status undone = rollback_.Run();
  ReleaseHostPorts(context_, *pod_);
  if (!undone.ok()) {
    told = absl::Status(
        told.code(), absl::StrCat(told.message(),
                                  "; not all could be undone, it is retried: ",
                                  undone.message()));
  }
  pod_->Update([&](Pod& pod) {
    pod.status.state = PodState::kFailed;
    pod.status.reason = absl::IsAborted(told) ? "Aborted" : "StartFailed";
    pod.status.message = std::string(told.message());
    pod.status.finished_at = absl::Now();
  });
  if (absl::Status saved = pod_->Save(); !saved.ok()) {
    context_.Problem(absl::StrCat("pod \"", pod_->name(),
                                  "\": write record of the failed start: ",
                                  saved.message(), ", ignoring"));
  }
  return told;
}

}  // namespace

absl::Status StartPod(PodContext& context,
                      const std::shared_ptr<LivePod>& pod) {
  return ObserveStep(context.observer, "start",
                     [&] { return PodStarter(context, pod).Start(); });
}

}  // namespace davit
