#ifndef DAVIT_RUNTIME_CGROUP_POD_CGROUP_H_
#define DAVIT_RUNTIME_CGROUP_POD_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/limits.h"

namespace davit {

// A pod's directories in one hierarchy:
//
//   <own_dir>/<parent>/<pod id>              base: limits, statistics
//   <own_dir>/<parent>/<pod id>/payload      PID 1 and all below it
//   <own_dir>/<parent>/<pod id>/supervisor   the shim
//
// v1 controllers other than name=systemd have no supervisor, except in a scope,
// and those whose limits do not hold for directories below (blkio, cpuset) no
// payload: it is the base. The payload is the root of the pod's cgroup
// namespace, so the pod cannot reach its other limits, not even by a mount of
// its own.
struct CgroupDir {
  bool v2 = false;
  std::vector<std::string> controllers;  // v1; {"name=systemd"}
  std::string mount_point;
  std::string base;
  std::string payload;
  std::string supervisor;  // empty: none
  // Where the shim steps to before it removes the base; empty: nowhere.
  std::string retreat;
  // v2 is the only hierarchy: its controllers are handed down to the payload.
  bool hand_down = false;
  // The base is a scope of the host's systemd (pod_scope.h), which makes and
  // removes it and may limit it; ours is only what is below.
  bool in_scope = false;

  bool Has(const std::string& controller) const;
  bool operator==(const CgroupDir&) const = default;
};

// A pod's cgroup over all hierarchies. A value: it owns nothing and nothing
// happens until a method is called, so that the directories can be written down
// before they are made. Needs neither JSON nor libraries; the shim uses it too.
class PodCgroup {
 public:
  PodCgroup() = default;
  explicit PodCgroup(std::vector<CgroupDir> dirs) : dirs_(std::move(dirs)) {}

  // The directories of pod `pod_id` below ours. Where systemd is PID 1 of the
  // host, a v1 controller whose path is "/" has not been delegated to us and is
  // skipped; elsewhere nobody manages the top, so it is ours to use.
  static PodCgroup Plan(const std::vector<CgroupHierarchy>& hierarchies,
                        const std::string& parent, const std::string& pod_id,
                        bool host_runs_systemd);

  const std::vector<CgroupDir>& dirs() const { return dirs_; }
  // The v2 directory; null on a machine without one.
  const CgroupDir* Unified() const;
  // The one in whose base a controller's files are; null if none has it.
  const CgroupDir* WithController(const std::string& controller) const;

  // mkdir of all of it; existing directories are taken over. Below a base with
  // v1's devices controller the payload comes with EnterPayload() only: the
  // kernel takes a list of devices from no cgroup that has, or has just had,
  // children.
  absl::Status Create() const;
  // The same where some of it is in a scope: moves `shim`, which systemd has
  // put into the bases there, into the supervisors.
  absl::Status CreateInScope(pid_t shim) const;
  // Limits a fresh cgroup. FailedPrecondition names the limit that no
  // controller can keep.
  absl::Status SetLimits(const CgroupLimits& limits) const;
  // Replaces the limits of one that is in use, lifting those that are not in
  // `limits`; a block device's are lifted by naming it with zeros.
  absl::Status ChangeLimits(const CgroupLimits& limits) const;

  // Gives the payload of those hierarchies that the pod's systemd manages (v2,
  // name=systemd) to a user: what delegation means in cgroups(7).
  absl::Status Delegate(uid_t owner) const;

  // The v2 payload, and supervisor, for a process to start in (CloneProcess):
  // one that was moved there would have to wait. Invalid without v2.
  absl::StatusOr<UniqueFd> OpenPayload() const;
  absl::StatusOr<UniqueFd> OpenSupervisor() const;
  // Moves the calling process, which has no other thread, in all hierarchies of
  // v1: the rest of what OpenPayload and OpenSupervisor begin.
  absl::Status EnterPayload() const;
  absl::Status EnterSupervisor() const;
  // Moves the calling process, of one thread too, to the retreats. Waits for
  // the kernel in v2.
  absl::Status LeaveSupervisor() const;

  // Kills by the OOM killer so far; 0 also if nobody counts.
  int64_t OomKills() const;
  // False also if it does not exist.
  absl::StatusOr<bool> IsPopulated() const;
  // False if the pod has no directory in any hierarchy.
  bool Exists() const;

  // Stops every process of the payload where it is, and lets it go on. OK if
  // that is so already. FailedPrecondition if no hierarchy can freeze;
  // DeadlineExceeded if a process does not stop (it waits in the kernel): then
  // thaw.
  absl::Status Freeze(absl::Duration timeout) const;
  absl::Status Thaw() const;

  // Kills every process of the payload and waits until none is left:
  // cgroup.kill on v2, else freeze, kill and thaw until empty. OK if there is
  // nothing; DeadlineExceeded.
  absl::Status Kill(absl::Duration timeout) const;
  // Kills what a dead shim may have left in the supervisor cgroup as well, then
  // the same.
  absl::Status KillAll(absl::Duration timeout) const;

  // Removes everything, also what the pod made below, and the parent if that is
  // empty now. OK if absent; FailedPrecondition if a process is left. In a
  // scope only the payload: the rest goes with the unit.
  absl::Status Remove() const;

 private:
  absl::Status KillByCgroup(const std::string& directory,
                            absl::Duration timeout) const;
  absl::Status KillByFreezer(const std::string& directory,
                             absl::Time deadline) const;
  absl::Status WriteLimits(const CgroupLimits& limits, bool lift) const;
  absl::Status WriteLimit(const LimitWrite& write, bool v2) const;

  std::vector<CgroupDir> dirs_;
};

// A pod's directory in a hierarchy beside others.
CgroupDir PlanBeside(const CgroupHierarchy& hierarchy,
                     const std::string& parent, const std::string& pod_id);

// On a pure v2 host no process may stay in a cgroup that has children with
// controllers: moves this process into <own_dir>/<parent>/agent and hands the
// controllers down to <parent>. Does nothing on other layouts. Call it once,
// before any pod is made. FailedPrecondition if others stay in our cgroup.
absl::Status PrepareAgentCgroup(const std::vector<CgroupHierarchy>& hierarchies,
                                const std::string& parent);

// Ids of the pods that have a directory below <parent> in any hierarchy,
// sorted.
absl::StatusOr<std::vector<std::string>> ListPodCgroups(
    const std::vector<CgroupHierarchy>& hierarchies, const std::string& parent);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_POD_CGROUP_H_
