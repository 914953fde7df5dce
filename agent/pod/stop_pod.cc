#include "agent/pod/stop_pod.h"

#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/pod/app_state.h"
#include "agent/pod/end_pod.h"
#include "agent/pod/intents.h"
#include "agent/pod/parallel.h"
#include "agent/pod/pod_state.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/cgroup/quick_moves.h"

namespace davit {
namespace {

// What a shim may take to clean up after its pod's processes have ended.
constexpr absl::Duration kShimTimeout = absl::Seconds(30);

// A stop goes on when its record cannot be written: a full disk must not keep
// pods alive.
void SaveIfPossible(PodContext& context, LivePod& pod) {
  absl::Status saved = pod.Save();
  if (saved.ok()) return;
  context.Problem(absl::StrCat("pod \"", pod.name(), "\": write record: ",
                               saved.message(), ", ignoring"));
}

// The result is ready once the record says so, too. If the agent dies before,
// the next one takes over a pod whose systemd ends by itself; but no app and
// nothing on the node must be taken from a pod that the record has as running.
std::future<void> EnterStopping(PodContext& context, LivePod& pod,
                                const StopRequest& request) {
  pod.Update([&](Pod& value) {
    value.stop_requested = true;
    if (value.status.state == PodState::kStopping) return;
    value.status.state = PodState::kStopping;
    value.status.reason = request.reason;
  });
  return std::async(std::launch::async,
                    [&context, &pod] { SaveIfPossible(context, pod); });
}

std::vector<std::string> LiveApps(const Pod& pod) {
  std::vector<std::string> names;
  for (const AppState& app : pod.status.apps) {
    if (app.status.state != AppStatus::State::kTerminated) {
      names.push_back(app.name);
    }
  }
  return names;
}

void RecordFinalStatus(LivePod& pod, const std::string& name,
                       const AppStatus& status) {
  pod.UpdateQuietly([&](Pod& value) {
    for (AppState& app : value.status.apps) {
      if (app.name == name) MergeAppStatus(status, app);
    }
  });
}

// Its systemd must be able to hear of the end.
void Wake(PodContext& context, LivePod& pod) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process == nullptr || !pod.Get().status.paused) return;
  absl::Status awake = process->Thaw();
  if (!awake.ok()) {
    context.Problem(absl::StrCat(
        "pod \"", pod.name(), "\": thaw: ", awake.message(), ", killing it"));
  }
  pod.UpdateQuietly([](Pod& value) { value.status.paused = false; });
}

void StopApps(PodContext& context, LivePod& pod, absl::Duration grace,
              const std::future<void>& recorded) {
  std::shared_ptr<PodProcess> process = pod.process();
  PodRef ref{pod.id(),
             process != nullptr ? process->init() : ProcessIdentity()};
  std::vector<std::string> names;
  if (process != nullptr) names = LiveApps(pod.Get());
  if (!names.empty()) recorded.wait();
  std::vector<absl::StatusOr<AppStatus>> ends(names.size());
  ParallelFor(names.size(), names.size(), [&](size_t i) {
    ends[i] = context.deps.apps->Stop(ref, names[i], grace);
    // With its pod its apps have ended.
    if (ends[i].ok() || absl::IsNotFound(ends[i].status())) return;
    context.Problem(absl::StrCat("pod \"", pod.name(), "\": stop app \"",
                                 names[i], "\": ", ends[i].status().message(),
                                 ", its pod is stopped all the same"));
  });
  // News that are still on their way are older than what is asked for now.
  context.deps.apps->Unwatch(pod.id());
  pod.CloseMail();
  // What systemd says of an app after its stop is its exact end.
  for (size_t i = 0; i < names.size(); ++i) {
    if (ends[i].ok()) RecordFinalStatus(pod, names[i], *ends[i]);
  }
  if (!names.empty()) SaveIfPossible(context, pod);
}

// Waits until the pod's systemd has stopped all that it manages; the connection
// that it is told by takes some milliseconds, beside the stop of the apps. The
// systemd may be busy, hang, or be somebody else's: nothing depends on it.
std::future<bool> ListenForShutdown(PodContext& context, LivePod& pod,
                                    absl::Duration grace) {
  std::shared_ptr<PodProcess> process = pod.process();
  // Nothing but a network's undo gains by it.
  const bool networks = HasIntent(pod.Get(), IntentKind::kNetwork);
  if (process == nullptr || !networks || grace <= absl::ZeroDuration()) {
    return {};
  }
  return std::async(
      std::launch::async,
      [apps = context.deps.apps, ref = PodRef{pod.id(), process->init()},
       grace] { return apps->AwaitShutdown(ref, grace + kShimTimeout).ok(); });
}

// Waits for the shim too and takes down how the pod ended.
void AwaitEnd(PodContext& context, LivePod& pod, PodProcess& process,
              absl::Duration grace) {
  absl::StatusOr<PodExit> exit = process.WaitExit(grace + kShimTimeout);
  if (!exit.ok()) {
    context.Problem(absl::StrCat("pod \"", pod.name(), "\": stop: ",
                                 exit.status().message(), ", killing it"));
    return;
  }
  pod.UpdateQuietly([&](Pod& value) { value.status.exit = *exit; });
  pod.SetProcess(nullptr);
}

// Stops the pod's systemd and undoes what there is of the pod on the node, once
// it is `recorded` that it stops.
absl::Status StopSystem(PodContext& context, LivePod& pod, absl::Duration grace,
                        std::future<bool> shutdown,
                        const std::future<void>& recorded) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process == nullptr) {
    recorded.wait();
    return UndoAllIntents(context, pod);
  }
  absl::Status stopping = process->BeginStop(grace);
  recorded.wait();
  if (!stopping.ok()) {
    context.Problem(absl::StrCat("pod \"", pod.name(), "\": stop: ",
                                 stopping.message(), ", killing it"));
    return UndoAllIntents(context, pod);
  }
  PodEnd end;
  // Something may still run after the systemd, on its way out; but a network
  // takes its interface away before it gives its address to another pod.
  end.network_unused = [&] {
    if (shutdown.valid() && shutdown.get()) return true;
    return process->WaitProcesses(grace + kShimTimeout).ok();
  };
  end.await = [&] { AwaitEnd(context, pod, *process, grace); };
  return UndoAllIntents(context, pod, &end);
}

void EndStopped(PodStatus& status) {
  if (!status.exit) status.exit = PodExit();
  absl::Time& at = status.exit->at;
  if (at <= absl::UnixEpoch()) at = absl::Now();  // nobody saw when
  MarkUnseenEnds(at, status.apps);
  status.state = PodState::kExited;
  status.finished_at = at;
  if (status.reason.empty()) status.reason = EndReason(status);
  status.message = DescribeExit(*status.exit);
}

// False if there was nothing to leave.
bool LeaveStopping(LivePod& pod) {
  Pod now = pod.Get();
  bool rebooting =
      now.status.state == PodState::kExited && now.status.reason == kRebooting;
  if (!now.stop_requested && !rebooting) return false;
  pod.Update([&](Pod& value) {
    value.stop_requested = false;
    if (value.status.state == PodState::kStopping) EndStopped(value.status);
    if (rebooting) value.status.reason = "Stopped";  // it stays down
  });
  return true;
}

absl::Status StopSteps(PodContext& context, LivePod& pod,
                       const StopRequest& request) {
  Pod value = pod.Get();
  absl::Status undone;
  if (MayHaveProcesses(value.status.state)) {
    absl::Duration grace = request.grace.value_or(value.spec.termination_grace);
    std::future<bool> shutdown = ListenForShutdown(context, pod, grace);
    std::future<void> recorded = EnterStopping(context, pod, request);
    Wake(context, pod);
    StopApps(context, pod, grace, recorded);
    undone = StopSystem(context, pod, grace, std::move(shutdown), recorded);
  } else {
    undone = UndoAllIntents(context, pod);
  }
  bool gone = !HasIntent(pod.Get(), IntentKind::kBoot);
  bool left = gone && LeaveStopping(pod);
  if (left || !value.intents.empty()) SaveUndone(context, pod);
  return undone;
}

absl::Status RemoveSteps(PodContext& context, LivePod& pod,
                         std::optional<absl::Duration> grace) {
  if (pod.deleted()) return absl::OkStatus();
  pod.UpdateQuietly([](Pod& value) { value.remove_requested = true; });
  SaveIfPossible(context, pod);
  RETURN_IF_ERROR(StopPod(context, pod, {grace, "Stopped"}));
  pod.Update([](Pod& value) { value.status.state = PodState::kRemoving; });
  RETURN_IF_ERROR(RemoveTree(pod.paths().runtime_dir));
  RETURN_IF_ERROR(pod.Delete());
  pod.operation.AssertHeld();
  pod.images = PodImages();
  context.table.Erase(pod);
  return absl::OkStatus();
}

bool NeedsRetry(const Pod& pod) {
  if (pod.remove_requested || pod.stop_requested) return true;
  return !pod.intents.empty() && !MayHaveProcesses(pod.status.state);
}

void Retry(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  pod->RetryRuns();
  // Whoever holds it asks for the next retry when he is done.
  if (!pod->operation.TryLock()) return;
  Pod value = pod->Get();
  absl::Status status;
  if (value.remove_requested) {
    status = RemovePod(context, *pod, std::nullopt);
  } else if (NeedsRetry(value)) {
    status = StopPod(context, *pod, {});
  }
  pod->operation.Unlock();
  if (!status.ok()) {
    context.Problem(absl::StrCat("pod \"", pod->name(), "\": retry: ",
                                 status.message(), ", trying again later"));
  }
  RetryIfNeeded(context, pod);
}

}  // namespace

absl::Status StopPod(PodContext& context, LivePod& pod,
                     const StopRequest& request) {
  // Only what stops something is worth timing.
  bool runs = MayHaveProcesses(pod.state());
  // A machine's systemd starts programs as it shuts down, that of apps hardly
  // any.
  bool machine = pod.Get().spec.containers.empty();
  QuickMoves::Hold quick(runs && machine ? context.deps.quick_moves : nullptr);
  return ObserveStep(runs ? context.observer : nullptr, "stop",
                     [&] { return StopSteps(context, pod, request); });
}

absl::Status RemovePod(PodContext& context, LivePod& pod,
                       std::optional<absl::Duration> grace) {
  return ObserveStep(context.observer, "remove",
                     [&] { return RemoveSteps(context, pod, grace); });
}

void RetryIfNeeded(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  if (pod->deleted() || !NeedsRetry(pod->Get()) || !pod->ClaimRetry()) return;
  context.workers->AddAfter(context.options.retry_interval,
                            [&context, weak = std::weak_ptr<LivePod>(pod)] {
                              if (auto pod = weak.lock()) Retry(context, pod);
                            });
}

}  // namespace davit
