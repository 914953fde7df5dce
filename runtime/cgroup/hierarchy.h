#ifndef DAVIT_RUNTIME_CGROUP_HIERARCHY_H_
#define DAVIT_RUNTIME_CGROUP_HIERARCHY_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// One mounted cgroup hierarchy (cgroups(7)) and the place of this process in
// it. Paths differ between hierarchies: never carry one over to another.
struct CgroupHierarchy {
  bool v2 = false;
  // v1: its controllers in mount order, or {"name=systemd"}. Empty for v2.
  std::vector<std::string> controllers;
  std::string mount_point;  // "/sys/fs/cgroup/memory"
  std::string own_path;     // as in /proc/self/cgroup: "/system.slice/x"
  std::string own_dir;      // the same as a directory: mount_point + own_path
  bool operator==(const CgroupHierarchy&) const = default;
};

// The source of mounts that an agent makes for itself (unified_mount.h).
inline constexpr char kOwnCgroupMount[] = "davit";

// Parses /proc/PID/mountinfo (proc(5)) and /proc/PID/cgroup. Of a hierarchy
// that is mounted several times the first mount counts. Read-only mounts,
// agents' own ones, named hierarchies other than systemd's and hierarchies
// whose mount does not show our own cgroup are left out. FailedPrecondition if
// none remains.
absl::StatusOr<std::vector<CgroupHierarchy>> ParseCgroupHierarchies(
    absl::string_view mountinfo, absl::string_view proc_cgroup);

// The same for this process.
absl::StatusOr<std::vector<CgroupHierarchy>> DiscoverCgroupHierarchies();
// The same with the place of another process, by our mounts.
absl::StatusOr<std::vector<CgroupHierarchy>> DiscoverCgroupHierarchiesOf(
    pid_t pid);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_HIERARCHY_H_
