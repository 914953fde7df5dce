#ifndef DAVIT_RUNTIME_SANDBOX_SECCOMP_H_
#define DAVIT_RUNTIME_SANDBOX_SECCOMP_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/sandbox/seccomp_profile.h"

namespace davit {

// A compiled system call filter (seccomp(2), libseccomp). It covers the native
// architecture and the 32-bit one of the same CPU; any other ABI (x32) and any
// call that is newer than our libseccomp gets ENOSYS, so that programs fall
// back as on an older kernel. Takes a millisecond or two to compile: where that
// matters, keep the program.
class SeccompFilter {
 public:
  // InvalidArgument names a call that libseccomp does not know.
  static absl::StatusOr<SeccompFilter> Create(const SeccompProfile& profile);

  // Puts the filter on the calling thread, without no_new_privs: needs
  // CAP_SYS_ADMIN. After it even we cannot do what it denies.
  absl::Status Load() const;

  // The classic BPF program, for LoadSeccompProgram in another process.
  const std::string& Export() const { return program_; }

 private:
  explicit SeccompFilter(std::string program) : program_(std::move(program)) {}
  std::string program_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_SECCOMP_H_
