#include "agent/pod/stop_pod.h"

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

namespace davit {
namespace {

// A stop goes on when its record cannot be written: a full disk must not keep
// pods alive.
void SaveIfPossible(PodContext& context, LivePod& pod) {
  absl::Status saved = pod.Save();
  if (saved.ok()) return;
  context.Problem(absl::StrCat("pod \"", pod.name(), "\": write record: ",
                               saved.message(), ", ignoring"));
}

void EnterStopping(PodContext& context, LivePod& pod,
                   const StopRequest& request) {
  pod.Update([&](Pod& value) {
    value.stop_requested = true;
    if (value.status.state == PodState::kStopping) return;
    value.status.state = PodState::kStopping;
    value.status.reason = request.reason;
  });
  SaveIfPossible(context, pod);
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

// What systemd says of an app after its stop is its exact end. It can be asked
// only while the pod lives.
void RecordFinalStatus(PodContext& context, LivePod& pod, const PodRef& ref,
                       const std::string& name) {
  absl::StatusOr<AppStatus> status = context.deps.apps->GetStatus(ref, name);
  if (!status.ok()) return;
  pod.UpdateQuietly([&](Pod& value) {
    for (AppState& app : value.status.apps) {
      if (app.name == name) MergeAppStatus(*status, app);
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

void StopApps(PodContext& context, LivePod& pod, absl::Duration grace) {
  std::shared_ptr<PodProcess> process = pod.process();
  PodRef ref{pod.id(),
             process != nullptr ? process->init() : ProcessIdentity()};
  std::vector<std::string> names;
  if (process != nullptr) names = LiveApps(pod.Get());
  ParallelFor(names.size(), names.size(), [&](size_t i) {
    absl::Status stopped = context.deps.apps->Stop(ref, names[i], grace);
    if (stopped.ok()) return;
    context.Problem(absl::StrCat("pod \"", pod.name(), "\": stop app \"",
                                 names[i], "\": ", stopped.message(),
                                 ", its pod is stopped all the same"));
  });
  // News that are still on their way are older than what is asked for now.
  context.deps.apps->Unwatch(pod.id());
  pod.CloseMail();
  for (const std::string& name : names) {
    RecordFinalStatus(context, pod, ref, name);
  }
  SaveIfPossible(context, pod);
}

void StopSystem(PodContext& context, LivePod& pod, absl::Duration grace) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process == nullptr) return;
  absl::StatusOr<PodExit> exit = process->Stop(grace);
  if (!exit.ok()) {
    context.Problem(absl::StrCat("pod \"", pod.name(), "\": stop: ",
                                 exit.status().message(), ", killing it"));
    return;
  }
  pod.UpdateQuietly([&](Pod& value) { value.status.exit = *exit; });
  pod.SetProcess(nullptr);
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

void LeaveStopping(PodContext& context, LivePod& pod) {
  Pod now = pod.Get();
  bool rebooting =
      now.status.state == PodState::kExited && now.status.reason == kRebooting;
  if (!now.stop_requested && !rebooting) return;
  pod.Update([&](Pod& value) {
    value.stop_requested = false;
    if (value.status.state == PodState::kStopping) EndStopped(value.status);
    if (rebooting) value.status.reason = "Stopped";  // it stays down
  });
  SaveIfPossible(context, pod);
}

absl::Status StopSteps(PodContext& context, LivePod& pod,
                       const StopRequest& request) {
  Pod value = pod.Get();
  if (MayHaveProcesses(value.status.state)) {
    absl::Duration grace = request.grace.value_or(value.spec.termination_grace);
    EnterStopping(context, pod, request);
    Wake(context, pod);
    StopApps(context, pod, grace);
    StopSystem(context, pod, grace);
  }
  absl::Status undone = UndoAllIntents(context, pod);
  if (!HasIntent(pod.Get(), IntentKind::kBoot)) LeaveStopping(context, pod);
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
