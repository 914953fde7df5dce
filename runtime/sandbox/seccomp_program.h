#ifndef DAVIT_RUNTIME_SANDBOX_SECCOMP_PROGRAM_H_
#define DAVIT_RUNTIME_SANDBOX_SECCOMP_PROGRAM_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace davit {

// Puts an exported filter (SeccompFilter::Export) on the calling thread by
// seccomp(2), without no_new_privs: needs CAP_SYS_ADMIN. For processes that
// shall stay small: needs no libseccomp and no heap. InvalidArgument if
// `program` is not a whole number of BPF instructions.
absl::Status LoadSeccompProgram(absl::string_view program);

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_SECCOMP_PROGRAM_H_
