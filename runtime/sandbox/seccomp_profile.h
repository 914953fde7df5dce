#ifndef DAVIT_RUNTIME_SANDBOX_SECCOMP_PROFILE_H_
#define DAVIT_RUNTIME_SANDBOX_SECCOMP_PROFILE_H_

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/sandbox/capabilities.h"

namespace davit {

// Matches if (argument `index` & mask) == value.
struct SeccompArgument {
  unsigned index = 0;
  uint64_t mask = ~uint64_t{0};
  uint64_t value = 0;
  bool operator==(const SeccompArgument&) const = default;
};

// One denied call.
struct SeccompRule {
  std::string syscall;  // "mount"
  int error = EPERM;    // what the caller gets
  // All must match; empty: the call is always denied.
  std::vector<SeccompArgument> arguments = {};
  bool operator==(const SeccompRule&) const = default;
};

// Which system calls fail. Every other call that libseccomp knows is allowed,
// every one that it does not know fails with ENOSYS.
struct SeccompProfile {
  std::vector<SeccompRule> denied;
};

// For a pod's PID 1 and all below it: what reaches the machine itself (kernel
// modules, kexec, clocks, swap, raw I/O ports, BPF, keyrings, perf, handles of
// files) and audit sockets.
const SeccompProfile& PodSeccompProfile();

// For an app, on top of its pod's: what Docker's default profile denies as
// well, namely mounts, namespaces, io_uring, memory policy and so on, most of
// it unless `capabilities` hold what opens it there (SYS_ADMIN, SYS_CHROOT,
// SYS_BOOT, …).
SeccompProfile AppSeccompProfile(
    uint64_t capabilities = DefaultAppCapabilities());

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_SECCOMP_PROFILE_H_
