#include "runtime/sandbox/seccomp_program.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"

namespace davit {

absl::Status LoadSeccompProgram(absl::string_view program) {
  size_t count = program.size() / sizeof(sock_filter);
  if (count == 0 || count > BPF_MAXINSNS ||
      program.size() % sizeof(sock_filter) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("seccomp program of ", program.size(),
                     " bytes is not 1 to 4096 BPF instructions"));
  }
  // The kernel copies the program and does not write to it.
  sock_fprog prog = {
      static_cast<unsigned short>(count),
      reinterpret_cast<sock_filter*>(const_cast<char*>(program.data()))};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
    return ErrnoError("seccomp(SECCOMP_SET_MODE_FILTER, %d instructions)",
                      count);
  }
  return absl::OkStatus();
}

}  // namespace davit
