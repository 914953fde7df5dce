#include "agent/pod/reconcile.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

using Ids = std::set<std::string>;

// One reconciliation.
class Reconciler {
 public:
  Reconciler(PodContext& context, const Ids& known, RecoveryReport& report)
      : context_(context), known_(known), report_(report) {}

  void Run(const std::vector<std::string>& strays) {
    Add(strays, "list directories", ours_);
    Add(RuntimeDirs(), "list runtime directories", ours_);
    Add(context_.deps.network->ListNetns(), "list network namespaces", pins_);
    ours_.insert(pins_.begin(), pins_.end());
    Add(context_.deps.launcher->ListCgroups(), "list cgroups", cgroups_);
    for (const std::string& id : ours_) RemoveAll(id);
    for (const std::string& id : cgroups_) NameForeign(id);
  }

 private:
  // Adds those that no record knows.
  void Add(const absl::StatusOr<std::vector<std::string>>& found,
           absl::string_view doing, Ids& ids) {
    if (!found.ok()) {
      report_.failed.push_back(
          absl::StrCat(doing, ": ", found.status().message()));
      return;
    }
    for (const std::string& id : *found) {
      if (known_.count(id) == 0) ids.insert(id);
    }
  }

  absl::StatusOr<std::vector<std::string>> RuntimeDirs();
  void RemoveAll(const std::string& id);
  absl::Status DetachEverything(const std::string& id);
  // Notes what was removed, or why not.
  void Note(const absl::Status& status, std::string what);
  void NameForeign(const std::string& id);

  PodContext& context_;
  const Ids& known_;
  RecoveryReport& report_;
  Ids ours_, pins_, cgroups_;
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

void Reconciler::Note(const absl::Status& status, std::string what) {
  if (status.ok()) {
    report_.removed.push_back(std::move(what));
  } else {
    report_.failed.push_back(
        absl::StrCat("remove ", what, ": ", status.message()));
  }
}

// Its record is lost, and with it which networks it had: each one, under each
// name that an interface could have. DEL of what was never added does nothing.
absl::Status Reconciler::DetachEverything(const std::string& id) {
  PodNetworkRequest request;
  request.pod_id = id;
  std::vector<NetworkInfo> networks = context_.deps.network->ListNetworks();
  std::erase_if(networks,
                [](const NetworkInfo& info) { return !info.error.empty(); });
  for (const NetworkInfo& network : networks) {
    for (size_t i = 0; i < networks.size(); ++i) {
      request.networks.push_back({network.name, absl::StrCat("eth", i)});
    }
  }
  return context_.deps.network->Detach(request);
}

void Reconciler::RemoveAll(const std::string& id) {
  PodPaths paths = context_.paths.ForPod(id);
  absl::Status destroyed =
      context_.deps.launcher->Destroy(id, paths.runtime_dir);
  if (!destroyed.ok() || cgroups_.count(id) > 0) {
    Note(destroyed, absl::StrCat("processes and cgroup of ", id));
  }
  cgroups_.erase(id);
  // As in a pod's stop: while it may live it keeps its address.
  if (!destroyed.ok()) return;
  if (pins_.count(id) > 0) {
    absl::Status detached = DetachEverything(id);
    absl::Status removed = context_.deps.network->RemoveNetns(id);
    Note(detached.ok() ? removed : detached,
         absl::StrCat("network namespace of ", id));
  }
  auto mounts = context_.deps.rootfs->ListMountsBelow(paths.dir);
  if (!mounts.ok() || !mounts->empty()) {
    Note(context_.deps.rootfs->UnmountTree(paths.dir),
         absl::StrCat("mounts below ", paths.dir));
  }
  if (PathExists(paths.runtime_dir)) {
    Note(RemoveTree(paths.runtime_dir),
         absl::StrCat("directory ", paths.runtime_dir));
  }
  if (PathExists(paths.dir)) {
    Note(context_.deps.store->Remove(id),
         absl::StrCat("directory ", paths.dir));
  }
}

void Reconciler::NameForeign(const std::string& id) {
  report_.failed.push_back(absl::StrCat("cgroup of unknown pod ", id,
                                        " is left alone: there is no ",
                                        context_.paths.ForPod(id).runtime_dir));
}

}  // namespace

void RemoveOwnerless(PodContext& context, const std::set<std::string>& known,
                     const std::vector<std::string>& strays,
                     RecoveryReport& report) {
  Reconciler(context, known, report).Run(strays);
}

}  // namespace davit
