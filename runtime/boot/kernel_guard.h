#ifndef DAVIT_RUNTIME_BOOT_KERNEL_GUARD_H_
#define DAVIT_RUNTIME_BOOT_KERNEL_GUARD_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Keeps the root of a pod without a user namespace from what is the whole
// machine's. A read-only or covered mount is no wall for root with
// CAP_SYS_ADMIN, who undoes it or mounts the same once more: this holds for
// every mount. Two BPF programs of the type LSM (Linux 6.0) on the pod's v2
// cgroup refuse, with EPERM,
//
// - to open for writing: any file of sysfs and fusectl, and those of /proc
//   except /proc/<pid>, /proc/sys (which has sysctl_policy.h) and
//   /proc/pressure;
// - to mount a file system that the kernel lets no user namespace mount and
//   that needs no block device (which device_policy.h keeps away), such as
//   debugfs, tracefs, securityfs, configfs, efivarfs or the host's devtmpfs;
//   also binfmt_misc. hugetlbfs, fusectl and those of the network may be.
//
// Only who gave the kernel's files to a pod by a writable bind can make it
// right for it to write them: it is for the caller to know.
class KernelGuard {
 public:
  // Loads the programs, for all pods. Unavailable if the kernel runs no BPF
  // programs as a security module ("bpf" is not in /sys/kernel/security/lsm),
  // or takes none from us; docs/container-interface.md says what does not hold
  // then.
  static absl::StatusOr<KernelGuard> Load();

  // Puts them on a directory of the v2 hierarchy, and all below it,
  // until it is removed. Once a cgroup.
  absl::Status Attach(const std::string& cgroup) const;

 private:
  KernelGuard(UniqueFd open, UniqueFd mount)
      : open_(std::move(open)), mount_(std::move(mount)) {}

  UniqueFd open_;
  UniqueFd mount_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_KERNEL_GUARD_H_
