#ifndef DAVIT_RUNTIME_SANDBOX_OCI_SECCOMP_H_
#define DAVIT_RUNTIME_SANDBOX_OCI_SECCOMP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// System call filters as the OCI runtime specification writes them
// (config-linux.md, "Seccomp"): what Kubernetes' localhostProfile names.

namespace davit {

// All values as libseccomp has them (SCMP_ACT_*, SCMP_CMP_*, SCMP_ARCH_*).
struct OciSeccompArgument {
  unsigned index = 0;  // 0 to 5
  uint64_t value = 0, value_two = 0;
  int compare = 0;
};

struct OciSeccompRule {
  std::vector<std::string> names;  // at least one
  uint32_t action = 0;             // with its errno
  std::vector<OciSeccompArgument> arguments;
};

struct OciSeccomp {
  uint32_t default_action = 0;  // with its errno
  // Those named that exist; the native one is always meant.
  std::vector<uint32_t> architectures;
  std::vector<OciSeccompRule> rules;
};

// InvalidArgument names the field: "syscalls[3].args[0].op: …". A field that
// the specification does not have is one, too: what Docker's profiles say by
// "includes" would otherwise be allowed to all. So are SCMP_ACT_NOTIFY and
// flags, which we do not support.
absl::StatusOr<OciSeccomp> ParseOciSeccomp(absl::string_view json);

// The classic BPF program, for LoadSeccompProgram. Names of calls that
// libseccomp does not know are ignored, as by other runtimes. Calls that are
// newer than our libseccomp, and architectures that the profile does not name,
// get ENOSYS, unless the default action lets calls pass. InvalidArgument if the
// program has more instructions than the kernel takes.
absl::StatusOr<std::string> CompileOciSeccomp(const OciSeccomp& profile);

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_OCI_SECCOMP_H_
