#ifndef DAVIT_RUNTIME_CGROUP_POD_HOME_H_
#define DAVIT_RUNTIME_CGROUP_POD_HOME_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/unified_mount.h"

namespace davit {

// Where the cgroups of this machine's pods are made, and who makes them. On a
// host whose PID 1 is systemd each pod is a scope unit with Delegate=yes in
// "<parent>.slice", so that a restart of the agent, a daemon-reload and all of
// systemd's tools leave it alone or work on it. Elsewhere they are directories
// below our own cgroup, <own>/<parent>/<pod id>. A value; thread-safe.
class PodHome {
 public:
  // Looks at the machine; `parent` and `unified_dir` are as in LauncherOptions.
  // Without a systemd it prepares the agent's own cgroup (PrepareAgentCgroup).
  // FailedPrecondition if no hierarchy can be used.
  static absl::StatusOr<PodHome> Open(const std::string& parent,
                                      const std::string& unified_dir);

  bool in_scopes() const { return in_scopes_; }

  // The directories of a pod of which nothing else is known.
  PodCgroup Plan(const std::string& pod_id) const;

  // Starts a shim that does nothing yet, in the v2 cgroup whose directory is
  // open as `cgroup` or, for -1, in ours. Returns its pid.
  using ShimStarter = std::function<absl::StatusOr<pid_t>(int cgroup)>;

  // Gives a pod its cgroups with these limits, and writes `record_path`
  // (cgroup_record.h) before it makes anything that would stay behind without
  // it. Calls `start_shim` once: a scope is made of a process that is there,
  // and elsewhere the shim starts in its supervisor cgroup (in v2; it enters
  // those of v1 itself). On error call Remove.
  absl::StatusOr<PodCgroup> Make(const std::string& pod_id,
                                 const std::string& description,
                                 const CgroupLimits& limits,
                                 const std::string& record_path,
                                 const ShimStarter& start_shim) const;

  // Changes the limits of a running pod (PodCgroup::ChangeLimits).
  absl::Status SetLimits(const std::string& pod_id, const PodCgroup& cgroup,
                         const CgroupLimits& limits) const;

  // Shows the pod to systemd-machined as `name`, where systemd and machined
  // run; does nothing elsewhere. machinectl(1) and the -M of systemd's tools
  // then work on it.
  absl::Status Announce(const std::string& pod_id, const std::string& name,
                        pid_t init, const std::string& root) const;

  // Removes the cgroups of a pod that has no process any more, its scope and
  // its registration. May wait for systemd. OK if there is nothing.
  absl::Status Remove(const std::string& pod_id, const PodCgroup& cgroup) const;

  // Ids of the pods that have cgroups here, sorted.
  absl::StatusOr<std::vector<std::string>> List() const;

 private:
  PodHome(std::string parent, bool in_scopes,
          std::vector<CgroupHierarchy> hierarchies,
          std::shared_ptr<const UnifiedMount> unified)
      : parent_(std::move(parent)),
        in_scopes_(in_scopes),
        hierarchies_(std::move(hierarchies)),
        unified_(std::move(unified)) {}

  PodCgroup WithUnified(PodCgroup cgroup, const std::string& pod_id) const;

  absl::StatusOr<PodCgroup> MakeScope(const std::string& pod_id,
                                      const std::string& description,
                                      pid_t shim, const CgroupLimits& limits,
                                      const std::string& record_path) const;

  std::string parent_;
  bool in_scopes_;
  // Of PID 1 in scopes, else ours.
  std::vector<CgroupHierarchy> hierarchies_;
  // Null where the host has v2.
  std::shared_ptr<const UnifiedMount> unified_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_POD_HOME_H_
