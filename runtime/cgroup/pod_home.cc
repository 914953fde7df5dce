#include "runtime/cgroup/pod_home.h"

#include <algorithm>

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

}  // namespace

absl::StatusOr<PodHome> PodHome::Open(const std::string& parent) {
  if (HostRunsSystemd()) {
    ASSIGN_OR_RETURN(std::vector<CgroupHierarchy> of_pid1,
                     DiscoverCgroupHierarchiesOf(1));
    return PodHome(parent, true, std::move(of_pid1));
  }
  ASSIGN_OR_RETURN(std::vector<CgroupHierarchy> ours,
                   DiscoverCgroupHierarchies());
  RETURN_IF_ERROR(PrepareAgentCgroup(ours, parent));
  return PodHome(parent, false, std::move(ours));
}

PodCgroup PodHome::Plan(const std::string& pod_id) const {
  if (in_scopes_) {
    return PredictInScope(hierarchies_, PodSliceName(parent_),
                          PodScopeName(pod_id));
  }
  return PodCgroup::Plan(hierarchies_, parent_, pod_id, false);
}

absl::StatusOr<PodCgroup> PodHome::Make(const std::string& pod_id,
                                        const std::string& description,
                                        pid_t shim, const CgroupLimits& limits,
                                        const std::string& record_path) const {
  if (in_scopes_) {
    return MakeScope(pod_id, description, shim, limits, record_path);
  }
  PodCgroup cgroup = Plan(pod_id);
  RETURN_IF_ERROR(WriteCgroupRecord(record_path, cgroup));
  RETURN_IF_ERROR(cgroup.Create());
  RETURN_IF_ERROR(cgroup.EnterSupervisor(shim), "enter supervisor cgroup");
  RETURN_IF_ERROR(cgroup.SetLimits(limits));
  return cgroup;
}

// The scope needs no record: if we die, its shim ends for want of a plan, and
// systemd removes the empty scope by itself.
absl::StatusOr<PodCgroup> PodHome::MakeScope(
    const std::string& pod_id, const std::string& description, pid_t shim,
    const CgroupLimits& limits, const std::string& record_path) const {
  std::string scope = PodScopeName(pod_id);
  // BPF keeps the pod from devices, or without cgroup v2 the v1 controller.
  bool has_v2 = std::any_of(hierarchies_.begin(), hierarchies_.end(),
                            [](const CgroupHierarchy& one) { return one.v2; });
  RETURN_IF_ERROR(StartScope({.unit = scope,
                              .slice = PodSliceName(parent_),
                              .description = description,
                              .pid = shim,
                              .bound_devices = !has_v2},
                             limits, absl::Now() + kSystemdTimeout),
                  "start scope");
  // Where systemd has really put it: it delegates what it manages.
  ASSIGN_OR_RETURN(std::vector<CgroupHierarchy> hierarchies,
                   DiscoverCgroupHierarchiesOf(shim));
  PodCgroup cgroup = PlanInScope(hierarchies, scope);
  if (cgroup.dirs().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "process ", shim, " is not in ", scope, " after its start"));
  }
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
  if (in_scopes_) return ListPodScopes(hierarchies_, PodSliceName(parent_));
  return ListPodCgroups(hierarchies_, parent_);
}

}  // namespace davit
