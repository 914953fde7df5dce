#include "runtime/cgroup/pod_home.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "runtime/base/status_macros.h"
#include "runtime/cgroup/cgroup_fs.h"
#include "runtime/cgroup/cgroup_record.h"
#include "runtime/cgroup/host_systemd.h"
#include "runtime/cgroup/pod_scope.h"

namespace davit {
namespace {

// A busy PID 1 takes long; one that hangs must not hang us.
constexpr absl::Duration kSystemdTimeout = absl::Seconds(30);
// Only a nicety: a pod's start waits no longer for it.
constexpr absl::Duration kMachinedTimeout = absl::Seconds(5);

bool HasV2(const std::vector<CgroupHierarchy>& hierarchies) {
  return std::any_of(hierarchies.begin(), hierarchies.end(),
                     [](const CgroupHierarchy& one) { return one.v2; });
}

}  // namespace

absl::StatusOr<PodHome> PodHome::Open(const std::string& parent,
                                      const std::string& unified_dir) {
  const bool in_scopes = HostRunsSystemd();
  ASSIGN_OR_RETURN(
      std::vector<CgroupHierarchy> found,
      in_scopes ? DiscoverCgroupHierarchiesOf(1) : DiscoverCgroupHierarchies());
  if (!in_scopes) RETURN_IF_ERROR(PrepareAgentCgroup(found, parent));
  std::shared_ptr<const UnifiedMount> unified;
  if (!HasV2(found)) {
    ASSIGN_OR_RETURN(unified, UnifiedMount::Make(unified_dir, parent));
  }
  return PodHome(parent, in_scopes, std::move(found), std::move(unified));
}

// Adds the directory in the v2 hierarchy of our own, where there is one.
PodCgroup PodHome::WithUnified(PodCgroup cgroup,
                               const std::string& pod_id) const {
  if (unified_ == nullptr) return cgroup;
  std::vector<CgroupDir> dirs = cgroup.dirs();
  dirs.push_back(PlanBeside(unified_->hierarchy(), parent_, pod_id));
  return PodCgroup(std::move(dirs));
}

PodCgroup PodHome::Plan(const std::string& pod_id) const {
  if (in_scopes_) {
    return WithUnified(PredictInScope(hierarchies_, PodSliceName(parent_),
                                      PodScopeName(pod_id)),
                       pod_id);
  }
  return WithUnified(PodCgroup::Plan(hierarchies_, parent_, pod_id, false),
                     pod_id);
}

absl::StatusOr<PodCgroup> PodHome::Make(const std::string& pod_id,
                                        const std::string& description,
                                        const CgroupLimits& limits,
                                        const std::string& record_path,
                                        const ShimStarter& start_shim) const {
  if (in_scopes_) {
    ASSIGN_OR_RETURN(pid_t shim, start_shim(-1));
    return MakeScope(pod_id, description, shim, limits, record_path);
  }
  PodCgroup cgroup = Plan(pod_id);
  RETURN_IF_ERROR(WriteCgroupRecord(record_path, cgroup));
  RETURN_IF_ERROR(cgroup.Create());
  RETURN_IF_ERROR(cgroup.SetLimits(limits));
  ASSIGN_OR_RETURN(UniqueFd supervisor, cgroup.OpenSupervisor());
  RETURN_IF_ERROR(start_shim(supervisor.get()).status());
  return cgroup;
}

// The scope needs no record: if we die, its shim ends for want of a plan, and
// systemd removes the empty scope by itself.
absl::StatusOr<PodCgroup> PodHome::MakeScope(
    const std::string& pod_id, const std::string& description, pid_t shim,
    const CgroupLimits& limits, const std::string& record_path) const {
  std::string scope = PodScopeName(pod_id);
  // Where systemd has v2 a BPF program keeps the pod from devices.
  RETURN_IF_ERROR(StartScope({.unit = scope,
                              .slice = PodSliceName(parent_),
                              .description = description,
                              .pid = shim,
                              .bound_devices = !HasV2(hierarchies_)},
                             limits, absl::Now() + kSystemdTimeout),
                  "start scope");
  // Where systemd has really put it: it delegates what it manages.
  ASSIGN_OR_RETURN(std::vector<CgroupHierarchy> hierarchies,
                   DiscoverCgroupHierarchiesOf(shim));
  PodCgroup in_scope = PlanInScope(hierarchies, scope);
  if (in_scope.dirs().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "process ", shim, " is not in ", scope, " after its start"));
  }
  PodCgroup cgroup = WithUnified(std::move(in_scope), pod_id);
  RETURN_IF_ERROR(WriteCgroupRecord(record_path, cgroup));
  RETURN_IF_ERROR(cgroup.CreateInScope(shim));
  // systemd has written what it knows of, and keeps it over a reload; this adds
  // the rest, and finds out what cannot be limited here.
  RETURN_IF_ERROR(cgroup.SetLimits(limits));
  return cgroup;
}

absl::Status PodHome::SetLimits(const std::string& pod_id,
                                const PodCgroup& cgroup,
                                const CgroupLimits& limits) const {
  RETURN_IF_ERROR(cgroup.ChangeLimits(limits));
  if (!in_scopes_) return absl::OkStatus();
  return SetScopeLimits(PodScopeName(pod_id), limits,
                        absl::Now() + kSystemdTimeout);
}

absl::Status PodHome::Announce(const std::string& pod_id,
                               const std::string& name, pid_t init,
                               const std::string& root) const {
  if (!in_scopes_) return absl::OkStatus();
  absl::Status status = RegisterMachine({.name = MachineName(name, pod_id),
                                         .pod_id = pod_id,
                                         .leader = init,
                                         .root = root},
                                        absl::Now() + kMachinedTimeout);
  // A host without it is as good.
  return absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

absl::Status PodHome::Remove(const std::string& pod_id,
                             const PodCgroup& cgroup) const {
  absl::Status removed = cgroup.Remove();
  if (!in_scopes_) return removed;
  std::string scope = PodScopeName(pod_id);
  // If it fails, machined hears of the scope's end all the same.
  UnregisterMachine(scope, absl::Now() + kMachinedTimeout).IgnoreError();
  RETURN_IF_ERROR(StopScope(scope, absl::Now() + kSystemdTimeout),
                  "stop scope");
  // Of a scope that ended by itself, systemd leaves a directory that was not
  // empty yet.
  for (const CgroupDir& dir : cgroup.dirs()) {
    if (dir.in_scope) removed.Update(RemoveCgroupTree(dir.base));
  }
  return removed;
}

absl::StatusOr<std::vector<std::string>> PodHome::List() const {
  std::vector<CgroupHierarchy> of_directories;
  if (unified_ != nullptr) of_directories.push_back(unified_->hierarchy());
  std::vector<std::string> in_scopes;
  if (in_scopes_) {
    ASSIGN_OR_RETURN(in_scopes,
                     ListPodScopes(hierarchies_, PodSliceName(parent_)));
  } else {
    of_directories.insert(of_directories.end(), hierarchies_.begin(),
                          hierarchies_.end());
  }
  ASSIGN_OR_RETURN(std::vector<std::string> ids,
                   ListPodCgroups(of_directories, parent_));
  std::vector<std::string> all;
  std::set_union(ids.begin(), ids.end(), in_scopes.begin(), in_scopes.end(),
                 std::back_inserter(all));
  return all;
}

}  // namespace davit
