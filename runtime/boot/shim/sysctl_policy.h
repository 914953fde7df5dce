#ifndef DAVIT_RUNTIME_BOOT_SHIM_SYSCTL_POLICY_H_
#define DAVIT_RUNTIME_BOOT_SHIM_SYSCTL_POLICY_H_

#include <linux/bpf.h>

#include <vector>

#include "absl/status/status.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// A BPF_PROG_TYPE_CGROUP_SYSCTL program that refuses every write to a file of
// /proc/sys, but to those of net/ if `own_network`. Pure.
std::vector<bpf_insn> BuildSysctlProgram(bool own_network);

// Puts it on the payload in the v2 hierarchy, which every pod is in (PodHome).
// A read-only mount is no wall for root with CAP_SYS_ADMIN, who mounts /proc
// once more: this holds for every mount.
absl::Status ApplySysctlPolicy(bool own_network,
                               const std::vector<CgroupDir>& cgroups);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_SYSCTL_POLICY_H_
