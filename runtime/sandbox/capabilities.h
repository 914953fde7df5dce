#ifndef DAVIT_RUNTIME_SANDBOX_CAPABILITIES_H_
#define DAVIT_RUNTIME_SANDBOX_CAPABILITIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Capability sets (capabilities(7)) as values: bit N of a uint64_t is the
// capability number N of <linux/capability.h>. All functions are thread-safe;
// those that change the process change the calling thread only, so call them in
// single-threaded children.

namespace davit {

// What a pod's PID 1 may ever have: enough for systemd (MKNOD and SYS_ADMIN
// stay), nothing that reaches the machine itself (no SYS_MODULE, SYS_RAWIO,
// SYS_TIME, SYSLOG, BPF, PERFMON, MAC_*, AUDIT_*, …).
uint64_t DefaultPodCapabilities();

// What an app has unless its spec says otherwise: Docker's default set without
// AUDIT_WRITE. A subset of DefaultPodCapabilities().
uint64_t DefaultAppCapabilities();

// The number of "CAP_NET_RAW", "NET_RAW" or "net_raw". InvalidArgument names
// an unknown one.
absl::StatusOr<int> CapabilityByName(absl::string_view name);

// "CAP_NET_RAW"; "CAP_63" for a number without a name.
std::string CapabilityName(int number);

// `base` without `drop`, with `add`; a name in both is added. "ALL" in `add`
// means DefaultPodCapabilities(), in `drop` everything. What the pod does not
// have is not given: PermissionDenied names it.
absl::StatusOr<uint64_t> CapabilitySet(uint64_t base,
                                       const std::vector<std::string>& add,
                                       const std::vector<std::string>& drop);

// Drops everything outside `bounding` from the bounding set and empties the
// ambient and inheritable sets. With a following execve(2) by uid 0 the process
// has exactly `bounding` (as far as it had it before).
absl::Status LimitCapabilities(uint64_t bounding);

// capset(2). Raising what is not permitted is PermissionDenied.
absl::Status SetProcessCapabilities(uint64_t permitted, uint64_t effective,
                                    uint64_t inheritable);

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_CAPABILITIES_H_
