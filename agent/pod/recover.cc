#include "agent/pod/recover.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "agent/pod/end_pod.h"
#include "agent/pod/intents.h"
#include "agent/pod/live_changes.h"
#include "agent/pod/parallel.h"
#include "agent/pod/reconcile.h"
#include "agent/pod/spec_needs.h"
#include "agent/pod/stop_pod.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kParallelPods = 8;

// The report, written by several threads.
class Tally {
 public:
  void Add(int RecoveryReport::*count) {
    absl::MutexLock lock(&mutex_);
    ++(report_.*count);
  }
  void Removed(std::string what) {
    absl::MutexLock lock(&mutex_);
    report_.removed.push_back(std::move(what));
  }
  // Notes a failure; nothing if `status` is OK.
  void Check(const LivePod& pod, absl::string_view doing,
             const absl::Status& status) {
    if (status.ok()) return;
    Failed(absl::StrCat("pod \"", pod.name(), "\": ", doing, ": ",
                        status.message()));
  }
  // Notes what was found to be nobody's.
  void Garbage(const GarbageItem& item) {
    std::string what =
        item.name.empty() ? item.kind : absl::StrCat(item.kind, " ", item.name);
    if (item.outcome.ok()) return Removed(std::move(what));
    Failed(absl::StrCat("remove ", what, ": ", item.outcome.message()));
  }
  void Failed(std::string what) {
    absl::MutexLock lock(&mutex_);
    report_.failed.push_back(std::move(what));
  }
  RecoveryReport Take() {
    absl::MutexLock lock(&mutex_);
    return std::move(report_);
  }

 private:
  absl::Mutex mutex_;
  RecoveryReport report_ ABSL_GUARDED_BY(mutex_);
};

// Takes up the pod's processes, if there is a trace of them. NotFound if not.
absl::Status TakeUp(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  pod->BeginRun();
  ASSIGN_OR_RETURN(std::shared_ptr<PodProcess> process,
                   context.deps.launcher->Recover(
                       pod->id(), pod->paths().runtime_dir, pod->paths().dir,
                       ListenToRun(context, pod)));
  std::set<std::string> cgroups;
  for (const auto& [controller, path] : process->cgroups()) {
    cgroups.insert(path);
  }
  pod->SetProcess(process);
  pod->UpdateQuietly([&](Pod& value) {
    value.status.init = process->init();
    value.status.cgroups.assign(cgroups.begin(), cgroups.end());
  });
  return absl::OkStatus();
}

void AdoptOrEnd(PodContext& context, const std::shared_ptr<LivePod>& pod,
                Tally& tally) {
  absl::Status taken = TakeUp(context, pod);
  if (!taken.ok() && !absl::IsNotFound(taken)) {
    // Its processes may be alive: nothing is released. A stop kills it.
    tally.Check(*pod, "take up", taken);
    pod->Update([&](Pod& value) {
      value.status.message =
          absl::StrCat("could not be taken up: ", taken.message());
    });
    return;
  }
  absl::StatusOr<PodExit> exit = PodExit();  // no trace: nobody saw the end
  if (taken.ok()) exit = pod->process()->WaitExit(absl::ZeroDuration());
  if (exit.ok()) {
    tally.Check(*pod, "clean up after its end", EndPod(context, *pod, *exit));
    tally.Add(&RecoveryReport::ended);
    return;
  }
  // One that is paused answers nothing before it goes on.
  if (!pod->Get().status.paused) {
    tally.Check(*pod, "watch apps", WatchAppsAgain(context, pod));
  }
  tally.Add(&RecoveryReport::adopted);
}

void RollBack(PodContext& context, LivePod& pod, Tally& tally) {
  tally.Check(pod, "undo its start", UndoAllIntents(context, pod));
  pod.Update([](Pod& value) {
    value.status.state = PodState::kFailed;
    value.status.reason = "AgentRestarted";
    value.status.message = "the agent ended while the pod was being started";
    value.status.finished_at = absl::Now();
  });
  tally.Check(pod, "write record", pod.Save());
  tally.Add(&RecoveryReport::rolled_back);
}

void FinishStop(PodContext& context, const std::shared_ptr<LivePod>& pod,
                Tally& tally) {
  absl::Status taken = TakeUp(context, pod);
  if (!taken.ok() && !absl::IsNotFound(taken)) {
    tally.Check(*pod, "take up", taken);
  }
  tally.Check(*pod, "finish its stop", StopPod(context, *pod, {}));
  tally.Add(&RecoveryReport::ended);
}

void FinishRemoval(PodContext& context, LivePod& pod, Tally& tally) {
  absl::Status removed = RemovePod(context, pod, std::nullopt);
  tally.Check(pod, "finish its removal", removed);
  if (removed.ok()) {
    tally.Removed(absl::StrCat("pod \"", pod.name(), "\" (", pod.id(),
                               "), whose removal was under way"));
  }
}

void RecoverPod(PodContext& context, const std::shared_ptr<LivePod>& pod,
                Tally& tally) {
  {
    absl::MutexLock lock(&pod->operation);
    absl::StatusOr<PodImages> images = HoldImages(context, pod->Get());
    tally.Check(*pod, "hold its images", images.status());
    if (images.ok()) pod->images = *std::move(images);
    switch (pod->state()) {
      case PodState::kRunning:
        AdoptOrEnd(context, pod, tally);
        break;
      case PodState::kStarting:
        RollBack(context, *pod, tally);
        break;
      case PodState::kStopping:
        FinishStop(context, pod, tally);
        break;
      case PodState::kCreated:
      case PodState::kExited:
      case PodState::kFailed:
      case PodState::kRemoving:
        if (pod->Get().intents.empty()) break;
        tally.Check(*pod, "undo what an earlier run left",
                    UndoAllIntents(context, *pod));
        SaveUndone(context, *pod);
        break;
    }
    if (pod->Get().remove_requested) FinishRemoval(context, *pod, tally);
  }
  RestartIfRebooting(context, pod);
  RetryIfNeeded(context, pod);
}

std::vector<std::shared_ptr<LivePod>> FillTable(PodContext& context,
                                                std::vector<Pod> pods,
                                                std::set<std::string>& known,
                                                Tally& tally) {
  for (Pod& value : pods) {
    known.insert(value.id);
    absl::Status reserved = context.table.Reserve(value.spec.name, value.id);
    if (!reserved.ok()) {
      tally.Failed(absl::StrCat(context.paths.ForPod(value.id).record, ": ",
                                reserved.message(), "; left alone"));
      continue;
    }
    PodPaths paths = context.paths.ForPod(value.id);
    auto pod = std::make_shared<LivePod>(std::move(value), std::move(paths),
                                         context.deps.store, context.events);
    if (!pod->Get().intents.empty()) context.host_ports.Adopt(pod->Get());
    context.table.Insert(pod);
    pod->Announce();
  }
  return context.table.All();
}

}  // namespace

absl::StatusOr<RecoveryReport> RecoverPods(PodContext& context) {
  ASSIGN_OR_RETURN(PodStore::Contents contents, context.deps.store->Load(),
                   "load pod records");
  Tally tally;
  RecordedPods recorded;
  for (const PodStore::BrokenRecord& broken : contents.broken) {
    recorded.known.insert(broken.id);
    tally.Failed(absl::StrCat(broken.error, "; its pod is left alone"));
  }
  std::vector<std::shared_ptr<LivePod>> pods =
      FillTable(context, std::move(contents.pods), recorded.known, tally);
  ParallelFor(pods.size(), kParallelPods,
              [&](size_t i) { RecoverPod(context, pods[i], tally); });
  recorded.strays = std::move(contents.strays);
  for (const GarbageItem& item :
       RemoveOwnerless(context, recorded, /*dry_run=*/false)) {
    tally.Garbage(item);
  }
  return tally.Take();
}

}  // namespace davit
