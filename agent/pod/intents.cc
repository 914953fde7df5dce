#include "agent/pod/intents.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
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
      return context.deps.rootfs->UnmountTree(pod.paths().rootfs);
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

// In memory alone.
absl::Status Undo(PodContext& context, LivePod& pod, IntentKind kind) {
  Pod value = pod.Get();
  if (!HasIntent(value, kind)) return absl::OkStatus();
  absl::Status status;
  if (kind != IntentKind::kBoot && HasIntent(value, IntentKind::kBoot)) {
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

void SaveUndone(PodContext& context, LivePod& pod) {
  absl::Status saved = pod.Save();
  if (saved.ok()) return;
  context.Problem(absl::StrCat(
      "pod \"", pod.name(), "\": the record still lists what is undone (",
      saved.message(), "); it will be undone again, ignoring"));
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

// One write for all: after a crash in between they are undone again.
absl::Status UndoAllIntents(PodContext& context, LivePod& pod) {
  std::vector<Intent> intents = pod.Get().intents;
  if (intents.empty()) return absl::OkStatus();
  Rollback undos;
  for (const Intent& intent : intents) {
    undos.Add(absl::StrCat("undo ", IntentKindName(intent.kind)),
              [&context, &pod, kind = intent.kind] {
                return Undo(context, pod, kind);
              });
  }
  absl::Status undone = undos.Run();
  SaveUndone(context, pod);
  ReleaseHostPorts(context, pod);
  return undone;
}

}  // namespace davit
