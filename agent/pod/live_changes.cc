#include "agent/pod/live_changes.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/pod/end_pod.h"
#include "agent/pod/resources.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// The resources of `app`, or of the pod; null if there is no such app.
ResourceRequirements* Find(PodSpec& spec, const std::string& app) {
  if (app.empty()) return &spec.resources;
  for (ContainerSpec& container : spec.containers) {
    if (container.name == app) return &container.resources;
  }
  return nullptr;
}

absl::Status Record(LivePod& pod, const LivePod::Change& change) {
  RETURN_IF_ERROR(pod.RecordQuietly(change), "write record");
  pod.Update([](Pod&) {});  // watchers hear of it
  return absl::OkStatus();
}

absl::Status RecordSpec(LivePod& pod, const PodSpec& spec) {
  return Record(pod, [&](Pod& value) { value.spec = spec; });
}

absl::Status RecordPaused(LivePod& pod, bool paused) {
  return Record(pod, [&](Pod& value) { value.status.paused = paused; });
}

absl::Status Apply(PodContext& context, LivePod& pod, const PodSpec& spec,
                   const std::string& app) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (pod.state() != PodState::kRunning || process == nullptr) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(process->ChangeLimits(PodLimits(spec)));
  for (const ContainerSpec& container : spec.containers) {
    if (container.name != app) continue;
    return context.deps.apps->ChangeLimits({pod.id(), process->init()}, app,
                                           LimitsOfApp(container.resources));
  }
  return absl::OkStatus();
}

absl::Status CheckNotPaused(const Pod& pod, const std::string& app) {
  if (app.empty() || !pod.status.paused) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the pod is paused, and so is what keeps the limits of its apps");
}

}  // namespace

absl::Status WatchAppsAgain(PodContext& context,
                            const std::shared_ptr<LivePod>& pod) {
  std::vector<std::string> names;
  Pod value = pod->Get();
  for (const AppState& app : value.status.apps) names.push_back(app.name);
  if (names.empty()) return absl::OkStatus();
  return context.deps.apps->Watch({pod->id(), value.status.init}, names,
                                  ListenToApps(context, pod));
}

absl::Status ChangeResources(PodContext& context, LivePod& pod,
                             const std::string& app,
                             const ResourceRequirements& change) {
  const Pod before = pod.Get();
  PodSpec spec = before.spec;
  ResourceRequirements* resources = Find(spec, app);
  if (resources == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the pod has no app \"", app, "\""));
  }
  *resources = MergeResources(*resources, change);
  RETURN_IF_ERROR(CheckResources(spec));
  RETURN_IF_ERROR(CheckNotPaused(before, app));
  Rollback rollback;
  rollback.Add("restore record", [&] { return RecordSpec(pod, before.spec); });
  RETURN_IF_ERROR(RecordSpec(pod, spec));
  rollback.Add("restore limits",
               [&] { return Apply(context, pod, before.spec, app); });
  absl::Status applied = Apply(context, pod, spec, app);
  if (!applied.ok()) {
    // EBUSY of v1: more memory is in use than it shall have.
    return absl::FailedPreconditionError(
        absl::StrCat("change limits: ", applied.message()));
  }
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status PausePod(LivePod& pod) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (pod.Get().status.paused) return absl::OkStatus();
  Rollback rollback;
  rollback.Add("restore record", [&] { return RecordPaused(pod, false); });
  RETURN_IF_ERROR(RecordPaused(pod, true));
  rollback.Add("thaw", [&] { return process->Thaw(); });
  RETURN_IF_ERROR(process->Freeze(), "freeze");
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status UnpausePod(PodContext& context,
                        const std::shared_ptr<LivePod>& pod) {
  if (!pod->Get().status.paused) return absl::OkStatus();
  RETURN_IF_ERROR(pod->process()->Thaw(), "thaw");
  RETURN_IF_ERROR(RecordPaused(*pod, false));
  // An agent that found the pod paused has not asked it for its apps.
  context.deps.apps->Unwatch(pod->id());
  return Annotate(WatchAppsAgain(context, pod), "watch apps");
}

}  // namespace davit
