#ifndef DAVIT_RUNTIME_CGROUP_UNIFIED_MOUNT_H_
#define DAVIT_RUNTIME_CGROUP_UNIFIED_MOUNT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/cgroup/hierarchy.h"

namespace davit {

// The v2 hierarchy on a host that mounts none (pure v1, systemd's "legacy"
// layout). The kernel has it all the same, without controllers, since v1 has
// those: for BPF programs and cgroup.kill, and for a pod whose systemd knows no
// v1. cgroups(7).
//
// It is mounted in a directory of our own, because shims name their pods'
// cgroups by path and outlive the agent; whoever looks for the host's
// hierarchies does not see it (hierarchy.h). Thread-safe.
class UnifiedMount {
 public:
  // Mounts it at `directory`, which is created; its last component names the
  // hierarchy to pods' systemds, which look for "unified". Takes over what an
  // earlier agent has mounted there. `parent` is where its pods will be.
  // FailedPrecondition if `directory` is empty.
  static absl::StatusOr<std::shared_ptr<const UnifiedMount>> Make(
      const std::string& directory, const std::string& parent);

  // Unmounts it, unless there are pods. The directory stays.
  ~UnifiedMount();
  UnifiedMount(const UnifiedMount&) = delete;
  UnifiedMount& operator=(const UnifiedMount&) = delete;

  // Its root is "our own" cgroup.
  const CgroupHierarchy& hierarchy() const { return hierarchy_; }

 private:
  UnifiedMount(CgroupHierarchy hierarchy, std::string pods)
      : hierarchy_(std::move(hierarchy)), pods_(std::move(pods)) {}

  const CgroupHierarchy hierarchy_;
  const std::string pods_;  // is there while one is
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_UNIFIED_MOUNT_H_
