#include "agent/pod/reconcile.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

using Ids = std::set<std::string>;

constexpr char kNoRecord[] = "no pod of that id has a record";

// One reconciliation.
class Reconciler {
 public:
  Reconciler(PodContext& context, const Ids& known, bool dry_run)
      : context_(context), known_(known), dry_run_(dry_run) {}

  std::vector<GarbageItem> Run(const std::vector<std::string>& strays) {
    Add(strays, "list of directories", ours_);
    Add(RuntimeDirs(), "list of runtime directories", ours_);
    Add(context_.deps.network->ListNetns(), "list of network namespaces",
        ours_);
    Add(context_.deps.launcher->ListCgroups(), "list of cgroups", cgroups_);
    for (const std::string& id : ours_) RemoveProcesses(id);
    RemoveNetworks();
    for (const std::string& id : ours_) RemoveFiles(id);
    for (const std::string& id : cgroups_) NameForeign(id);
    return std::move(items_);
  }

 private:
  // Adds those that no record knows.
  void Add(const absl::StatusOr<std::vector<std::string>>& found,
           const std::string& what, Ids& ids) {
    if (!found.ok()) {
      items_.push_back({what, "", "could not be made", found.status()});
      return;
    }
    for (const std::string& id : *found) {
      if (known_.count(id) == 0) ids.insert(id);
    }
  }

  absl::StatusOr<std::vector<std::string>> RuntimeDirs();
  void RemoveProcesses(const std::string& id);
  void RemoveNetworks();
  void RemoveFiles(const std::string& id);
  void NameForeign(const std::string& id);

  // Notes a thing after its removal, which a dry run leaves out.
  template <typename Removal>
  void Remove(const char* kind, const std::string& name, Removal removal) {
    absl::Status outcome = dry_run_ ? absl::OkStatus() : removal();
    items_.push_back({kind, name, kNoRecord, std::move(outcome)});
  }

  PodContext& context_;
  const Ids& known_;
  const bool dry_run_;
  std::vector<GarbageItem> items_;
  Ids ours_, cgroups_;
  Ids alive_;  // of ours_: their processes could not be ended
};

absl::StatusOr<std::vector<std::string>> Reconciler::RuntimeDirs() {
  std::vector<std::string> ids;
  std::error_code error;
  std::filesystem::directory_iterator it(context_.paths.runtime_dirs(), error);
  if (error == std::errc::no_such_file_or_directory) return ids;
  for (; !error && it != std::filesystem::directory_iterator();
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (IsUuid(name)) ids.push_back(std::move(name));
  }
  if (!error) return ids;
  return absl::InternalError(absl::StrCat(
      "readdir(", context_.paths.runtime_dirs(), "): ", error.message()));
}

void Reconciler::RemoveProcesses(const std::string& id) {
  bool has_cgroup = cgroups_.erase(id) > 0;
  if (dry_run_) {
    if (has_cgroup) items_.push_back({"cgroup", id, kNoRecord, {}});
    return;
  }
  absl::Status destroyed = context_.deps.launcher->Destroy(
      id, context_.paths.ForPod(id).runtime_dir);
  // As in a pod's stop: while it may live it keeps its address and its files.
  if (!destroyed.ok()) alive_.insert(id);
  if (has_cgroup || !destroyed.ok()) {
    items_.push_back({"cgroup", id, kNoRecord, destroyed});
  }
}

void Reconciler::RemoveNetworks() {
  std::vector<PodNetworkRequest> alive;
  for (const Ids* ids : {&known_, static_cast<const Ids*>(&alive_)}) {
    for (const std::string& id : *ids) {
      alive.emplace_back();
      alive.back().pod_id = id;
    }
  }
  for (GarbageItem& item :
       context_.deps.network->CollectGarbage(alive, dry_run_)) {
    items_.push_back(std::move(item));
  }
}

void Reconciler::RemoveFiles(const std::string& id) {
  if (alive_.count(id) > 0) return;
  PodPaths paths = context_.paths.ForPod(id);
  auto mounts = context_.deps.rootfs->ListMountsBelow(paths.dir);
  if (!mounts.ok() || !mounts->empty()) {
    Remove("mounts", paths.dir,
           [&] { return context_.deps.rootfs->UnmountTree(paths.dir); });
  }
  if (PathExists(paths.runtime_dir)) {
    Remove("runtime directory", paths.runtime_dir, [&]() -> absl::Status {
      // A mount in it: before the rest.
      RETURN_IF_ERROR(context_.deps.userns->Remove(paths.runtime_dir));
      return RemoveTree(paths.runtime_dir);
    });
  }
  if (PathExists(paths.dir)) {
    Remove("pod directory", paths.dir,
           [&] { return context_.deps.store->Remove(id); });
  }
}

void Reconciler::NameForeign(const std::string& id) {
  items_.push_back({"cgroup", id, kNoRecord,
                    absl::FailedPreconditionError(absl::StrCat(
                        "left alone, as another agent's: there is no ",
                        context_.paths.ForPod(id).runtime_dir))});
}

}  // namespace

std::vector<GarbageItem> RemoveOwnerless(PodContext& context,
                                         const RecordedPods& recorded,
                                         bool dry_run) {
  std::vector<GarbageItem> items =
      Reconciler(context, recorded.known, dry_run).Run(recorded.strays);
  if (dry_run || !context.options.on_garbage) return items;
  for (const GarbageItem& item : items) context.options.on_garbage(item);
  return items;
}

std::vector<GarbageItem> CollectGarbage(PodContext& context, bool dry_run) {
  // No pod is made meanwhile. One that is being removed is in the table until
  // nothing of it is left.
  absl::MutexLock lock(&context.garbage);
  RecordedPods recorded;
  for (const auto& pod : context.table.All()) recorded.known.insert(pod->id());
  absl::StatusOr<PodStore::Contents> contents = context.deps.store->Load();
  if (!contents.ok()) {
    return {{"list of records", "", "could not be read", contents.status()}};
  }
  for (const Pod& pod : contents->pods) recorded.known.insert(pod.id);
  for (const PodStore::BrokenRecord& broken : contents->broken) {
    recorded.known.insert(broken.id);
  }
  recorded.strays = std::move(contents->strays);
  return RemoveOwnerless(context, recorded, dry_run);
}

}  // namespace davit
