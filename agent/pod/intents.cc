#include "agent/pod/intents.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/pod/parallel.h"
#include "agent/pod/run_plan.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Kills what may live and removes cgroups and runtime files.
absl::Status UndoBoot(PodContext& context, LivePod& pod) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process != nullptr) {
    // Destroy kills as well; this way the pod's shim writes how it ended.
    process->Stop(absl::ZeroDuration()).status().IgnoreError();
  }
  RETURN_IF_ERROR(
      context.deps.launcher->Destroy(pod.id(), pod.paths().runtime_dir));
  pod.SetProcess(nullptr);
  return absl::OkStatus();
}

absl::Status UndoDeed(PodContext& context, LivePod& pod, IntentKind kind) {
  switch (kind) {
    case IntentKind::kUserns:
      return context.deps.userns->Remove(pod.paths().runtime_dir);
    case IntentKind::kOverlay:
      return context.deps.rootfs->UnmountTree(pod.paths().dir);
    case IntentKind::kNetns:
      return context.deps.network->RemoveNetns(pod.id());
    case IntentKind::kNetwork: {
      Pod value = pod.Get();
      return context.detacher->Detach(
          PlanNetwork(value, value.status.netns_path));
    }
    case IntentKind::kBoot:
      return UndoBoot(context, pod);
  }
  return absl::InternalError("unknown intent");
}

// The value without the intent and without what it had made.
void Forget(IntentKind kind, Pod& pod) {
  std::erase_if(pod.intents,
                [kind](const Intent& intent) { return intent.kind == kind; });
  switch (kind) {
    case IntentKind::kUserns:
      pod.status.userns = {};
      break;
    case IntentKind::kOverlay:
      break;
    case IntentKind::kNetns:
      pod.status.netns_path.clear();
      break;
    case IntentKind::kNetwork:
      pod.status.interfaces.clear();
      break;
    case IntentKind::kBoot:
      pod.status.init = {};
      pod.status.dns = {};
      pod.status.cgroups.clear();
      pod.status.system_state.clear();
      pod.status.mounts.clear();
      pod.status.paused = false;
      break;
  }
}

// What is undone side by side, and what comes before the second at least.
enum Lane : size_t { kNetworks, kFileSystems, kProcesses };

Lane LaneOf(IntentKind kind) {
  switch (kind) {
    case IntentKind::kBoot:
      return kProcesses;
    case IntentKind::kNetns:
    case IntentKind::kNetwork:
      return kNetworks;
    case IntentKind::kOverlay:
    case IntentKind::kUserns:
      break;
  }
  return kFileSystems;
}

// In memory alone. `unused`: no process uses the pod's network any more,
// whatever is left of its boot.
absl::Status Undo(PodContext& context, LivePod& pod, IntentKind kind,
                  bool unused = false) {
  Pod value = pod.Get();
  if (!HasIntent(value, kind)) return absl::OkStatus();
  absl::Status status;
  const bool free = unused && LaneOf(kind) == kNetworks;
  if (kind != IntentKind::kBoot && !free &&
      HasIntent(value, IntentKind::kBoot)) {
    status = absl::FailedPreconditionError(
        "waits until the pod's processes are gone");
  } else {
    status = UndoDeed(context, pod, kind);
  }
  pod.UpdateQuietly([&](Pod& value) {
    if (status.ok()) return Forget(kind, value);
    for (Intent& intent : value.intents) {
      if (intent.kind == kind) intent.error = std::string(status.message());
    }
  });
  return status;
}

// One error of all, with the code of the first.
absl::Status Join(const std::array<absl::Status, 3>& lanes) {
  absl::Status joined = lanes[kProcesses];
  for (Lane lane : {kNetworks, kFileSystems}) {
    const absl::Status& status = lanes[lane];
    if (joined.ok()) {
      joined = status;
    } else if (!status.ok()) {
      joined = absl::Status(joined.code(), absl::StrCat(joined.message(), "; ",
                                                        status.message()));
    }
  }
  return joined;
}

}  // namespace

bool HasIntent(const Pod& pod, IntentKind kind) {
  return std::any_of(
      pod.intents.begin(), pod.intents.end(),
      [kind](const Intent& intent) { return intent.kind == kind; });
}

absl::Status BeginIntents(LivePod& pod, const std::vector<IntentKind>& kinds) {
  absl::Time now = absl::Now();
  return Annotate(pod.RecordQuietly([&](Pod& value) {
    for (IntentKind kind : kinds) value.intents.push_back({kind, now, ""});
  }),
                  "record intents");
}

absl::Status UndoIntent(PodContext& context, LivePod& pod, IntentKind kind) {
  if (!HasIntent(pod.Get(), kind)) return absl::OkStatus();
  absl::Status status = Undo(context, pod, kind);
  SaveUndone(context, pod);
  ReleaseHostPorts(context, pod);
  return status;
}

void ReleaseHostPorts(PodContext& context, const LivePod& pod) {
  Pod value = pod.Get();
  if (HasIntent(value, IntentKind::kNetwork)) return;
  if (HasIntent(value, IntentKind::kBoot)) return;
  context.host_ports.Release(pod.id());
}

void SaveUndone(PodContext& context, LivePod& pod) {
  absl::Status saved = pod.Save();
  if (saved.ok()) return;
  context.Problem(absl::StrCat(
      "pod \"", pod.name(), "\": the record still lists what is undone (",
      saved.message(), "); it will be undone again, ignoring"));
}

absl::Status UndoAllIntents(PodContext& context, LivePod& pod,
                            const PodEnd* end) {
  std::vector<Intent> intents = pod.Get().intents;
  if (intents.empty() && end == nullptr) return absl::OkStatus();
  std::atomic<bool> unused = false;  // the network, before the boot is undone
  std::array<Rollback, 3> undos;
  for (const Intent& intent : intents) {
    undos[LaneOf(intent.kind)].Add(
        absl::StrCat("undo ", IntentKindName(intent.kind)),
        [&context, &pod, &unused, kind = intent.kind] {
          return Undo(context, pod, kind, unused);
        });
  }
  std::array<absl::Status, 3> undone;
  auto run = [&](size_t lane) { undone[lane] = undos[lane].Run(); };
  if (end == nullptr) run(kProcesses);
  ParallelFor(2, 2, [&](size_t lane) {
    if (end != nullptr && lane == kNetworks) {
      unused = end->network_unused();
      if (!unused) return;
    }
    if (end != nullptr && lane == kFileSystems) {
      end->await();
      run(kProcesses);
    }
    run(lane);
  });
  if (end != nullptr && !unused) run(kNetworks);
  ReleaseHostPorts(context, pod);
  return Join(undone);
}

}  // namespace davit
