#ifndef DAVIT_RUNTIME_SANDBOX_SECCOMP_CONTEXT_H_
#define DAVIT_RUNTIME_SANDBOX_SECCOMP_CONTEXT_H_

#include <seccomp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// What both of our compilers of filters need of libseccomp (seccomp_init(3)).

namespace davit {

struct ReleaseSeccompContext {
  void operator()(void* context) const { seccomp_release(context); }
};
using SeccompContext =
    std::unique_ptr<void, ReleaseSeccompContext>;  // scmp_filter_ctx

// The ABIs of this CPU that programs in a pod may use, the native one first.
std::vector<uint32_t> SeccompArchitectures();

// An empty filter for the native architecture. What comes by another gets
// ENOSYS.
absl::StatusOr<SeccompContext> NewSeccompContext(uint32_t default_action);

// The classic BPF program as libseccomp writes it.
absl::StatusOr<std::string> ExportSeccomp(const SeccompContext& context);

// Instructions that answer ENOSYS to what is newer than libseccomp (x32 calls
// have bit 30 set, so they are "newer" too) and fall through to what follows
// them: jumps of classic BPF are relative. libseccomp itself cannot say "above
// a number" and cannot mix an allow-list with conditional denials.
std::string UnknownCallsPrologue();

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_SECCOMP_CONTEXT_H_
