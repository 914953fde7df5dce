#ifndef DAVIT_RUNTIME_BOOT_SHIM_DEVICE_POLICY_H_
#define DAVIT_RUNTIME_BOOT_SHIM_DEVICE_POLICY_H_

#include <linux/bpf.h>

#include <vector>

#include "absl/status/status.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// A BPF_PROG_TYPE_CGROUP_DEVICE program that allows what `rules` say and
// refuses everything else. Pure.
std::vector<bpf_insn> BuildDeviceProgram(const std::vector<DeviceRule>& rules);

// v1: before anything runs in the payload, gives the cgroup above it a list
// that no list of the payload can exceed, so that a pod which mounts the
// controller for itself gains nothing. It allows what the set-up needs besides
// the rules: making the 0:0 nodes of /run/host/inaccessible.
absl::Status BoundDevices(const std::vector<DeviceRule>& rules,
                          const std::vector<CgroupDir>& cgroups);

// Puts the rules on the payload: by BPF wherever a v2 hierarchy is mounted
// (also one without controllers) and in the v1 devices controller where there
// is one. Both hold; neither relies on a unit of the host. FailedPrecondition
// if there is neither.
absl::Status ApplyDevicePolicy(const std::vector<DeviceRule>& rules,
                               const std::vector<CgroupDir>& cgroups);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_DEVICE_POLICY_H_
