#include "agent/pod/volumes.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/app/app.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/live_mount.h"

namespace davit {
namespace {

bool IsAt(const PodMount& volume, const std::string& app,
          const std::string& target) {
  return volume.app == app && volume.target == target;
}

LiveMount LiveMountOf(const PodMount& volume) {
  LiveMount mount;
  mount.source = volume.source;
  if (!volume.app.empty()) mount.root = AppRootInPod(volume.app);
  mount.target = volume.target;
  mount.read_only = volume.read_only;
  return mount;
}

absl::Status CheckApp(const Pod& pod, const std::string& app) {
  if (app.empty()) return absl::OkStatus();
  for (const AppState& state : pod.status.apps) {
    if (state.name == app) return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("the pod has no app \"", app, "\""));
}

absl::Status Forget(LivePod& pod, const std::string& app,
                    const std::string& target) {
  return Annotate(pod.RecordQuietly([&](Pod& now) {
    std::erase_if(now.status.mounts, [&](const PodMount& volume) {
      return IsAt(volume, app, target);
    });
  }),
                  "write record");
}

}  // namespace

absl::Status MountVolume(PodContext& context, LivePod& pod, PodMount volume) {
  Pod value = pod.Get();
  RETURN_IF_ERROR(CheckApp(value, volume.app));
  for (const PodMount& other : value.status.mounts) {
    if (!IsAt(other, volume.app, volume.target)) continue;
    return absl::AlreadyExistsError(absl::StrCat(
        "target: ", other.source, " is mounted at ", other.target, " already"));
  }
  Rollback rollback;
  rollback.Add("write record",
               [&] { return Forget(pod, volume.app, volume.target); });
  RETURN_IF_ERROR(
      context.deps.mounts->Mount(value.status.init, value.status.userns,
                                 LiveMountOf(volume), [&](uint64_t mount_id) {
                                   volume.mount_id = mount_id;
                                   return pod.RecordQuietly([&](Pod& now) {
                                     now.status.mounts.push_back(volume);
                                   });
                                 }));
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status UnmountVolume(PodContext& context, LivePod& pod,
                           const UnmountRequest& request) {
  Pod value = pod.Get();
  RETURN_IF_ERROR(CheckApp(value, request.app));
  for (const PodMount& volume : value.status.mounts) {
    if (!IsAt(volume, request.app, request.target)) continue;
    RETURN_IF_ERROR(
        context.deps.mounts->Unmount(value.status.init, LiveMountOf(volume),
                                     volume.mount_id, request.force));
    return Forget(pod, request.app, request.target);
  }
  return absl::NotFoundError(
      absl::StrCat("target: nothing was mounted at ", request.target));
}

}  // namespace davit
