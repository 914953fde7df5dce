#include "runtime/sandbox/seccomp_context.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// The highest number that libseccomp has a name for.
uint32_t LastKnownCall(uint32_t architecture) {
  constexpr int kBeyondAllTables = 1024;
  uint32_t last = 0;
  for (int number = 0; number < kBeyondAllTables; ++number) {
    std::unique_ptr<char, decltype(&free)> name(
        seccomp_syscall_resolve_num_arch(architecture, number), &free);
    if (name != nullptr) last = static_cast<uint32_t>(number);
  }
  return last;
}

}  // namespace

std::vector<uint32_t> SeccompArchitectures() {
  switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
      return {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
    case SCMP_ARCH_AARCH64:
      return {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
    default:
      return {seccomp_arch_native()};
  }
}

absl::StatusOr<SeccompContext> NewSeccompContext(uint32_t default_action) {
  SeccompContext context(seccomp_init(default_action));
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH,
                   SCMP_ACT_ERRNO(ENOSYS));
  // 2 is a binary tree instead of a list of comparisons; libseccomp before 2.5
  // refuses it and makes a list.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  return context;
}

absl::StatusOr<std::string> ExportSeccomp(const SeccompContext& context) {
  UniqueFd fd(memfd_create("seccomp", MFD_CLOEXEC));
  if (!fd) return ErrnoError("memfd_create");
  int error = seccomp_export_bpf(context.get(), fd.get());
  if (error < 0) return ErrorNumber(error, "seccomp_export_bpf");
  if (lseek(fd.get(), 0, SEEK_SET) < 0) return ErrnoError("lseek");
  return ReadAll(fd.get());
}

std::string UnknownCallsPrologue() {
  std::vector<sock_filter> code;
  for (uint32_t architecture : SeccompArchitectures()) {
    code.push_back(
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    // SCMP_ARCH_* are the kernel's AUDIT_ARCH_*.
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, 3));
    code.push_back(
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    code.push_back(
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LastKnownCall(architecture), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
  }
  return std::string(reinterpret_cast<const char*>(code.data()),
                     code.size() * sizeof(sock_filter));
}

}  // namespace davit
