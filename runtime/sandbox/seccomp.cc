#include "runtime/sandbox/seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/sandbox/seccomp_program.h"

namespace davit {
namespace {

struct ReleaseContext {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;  // scmp_filter_ctx

// The ABIs of this CPU that programs in a pod may use, the native one first.
std::vector<uint32_t> Architectures() {
  switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
      return {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
    case SCMP_ARCH_AARCH64:
      return {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
    default:
      return {seccomp_arch_native()};
  }
}

// An empty filter for one architecture.
absl::StatusOr<Context> NewContext(uint32_t architecture) {
  Context context(seccomp_init(SCMP_ACT_ALLOW));
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH,
                   SCMP_ACT_ERRNO(ENOSYS));
  // 2 is a binary tree instead of a list of comparisons; libseccomp before 2.5
  // refuses it and makes a list.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (architecture == seccomp_arch_native()) return context;
  int error = seccomp_arch_add(context.get(), architecture);
  if (error < 0) {
    return ErrorNumber(error, "seccomp_arch_add(%#x)", architecture);
  }
  error = seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE);
  if (error < 0) return ErrorNumber(error, "seccomp_arch_remove(native)");
  return context;
}

// On 32-bit x86 socket(2) may come through socketcall(2), whose arguments are
// in memory, out of a filter's sight: libseccomp would deny every socket there.
bool ArgumentsAreHidden(const SeccompRule& rule, uint32_t architecture) {
  return architecture == SCMP_ARCH_X86 && rule.syscall == "socket" &&
         !rule.arguments.empty();
}

absl::Status AddRule(void* context, const SeccompRule& rule) {
  int number = seccomp_syscall_resolve_name(rule.syscall.c_str());
  if (number == __NR_SCMP_ERROR) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown system call \"", rule.syscall, "\""));
  }
  std::vector<scmp_arg_cmp> arguments;
  for (const SeccompArgument& argument : rule.arguments) {
    arguments.push_back(
        {argument.index, SCMP_CMP_MASKED_EQ, argument.mask, argument.value});
  }
  int error = seccomp_rule_add_array(
      context, SCMP_ACT_ERRNO(static_cast<uint16_t>(rule.error)), number,
      static_cast<unsigned>(arguments.size()), arguments.data());
  if (error < 0) {
    return ErrorNumber(error, "seccomp_rule_add(%s)", rule.syscall);
  }
  return absl::OkStatus();
}

// The program as libseccomp writes it: default "allow".
absl::StatusOr<std::string> Compile(void* context) {
  UniqueFd fd(memfd_create("seccomp", MFD_CLOEXEC));
  if (!fd) return ErrnoError("memfd_create");
  int error = seccomp_export_bpf(context, fd.get());
  if (error < 0) return ErrorNumber(error, "seccomp_export_bpf");
  if (lseek(fd.get(), 0, SEEK_SET) < 0) return ErrnoError("lseek");
  return ReadAll(fd.get());
}

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

// Instructions that answer ENOSYS to what is newer than libseccomp (x32 calls
// have bit 30 set, so they are "newer" too) and fall through to what follows
// them: jumps of classic BPF are relative. libseccomp itself cannot say "above
// a number" and cannot mix an allow-list with conditional denials.
std::string UnknownCallsPrologue() {
  std::vector<sock_filter> code;
  for (uint32_t architecture : Architectures()) {
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

}  // namespace

absl::StatusOr<SeccompFilter> SeccompFilter::Create(
    const SeccompProfile& profile) {
  Context context;
  for (uint32_t architecture : Architectures()) {
    ASSIGN_OR_RETURN(Context one, NewContext(architecture));
    for (const SeccompRule& rule : profile.denied) {
      if (ArgumentsAreHidden(rule, architecture)) continue;
      RETURN_IF_ERROR(AddRule(one.get(), rule));
    }
    if (context == nullptr) {
      context = std::move(one);
      continue;
    }
    int error = seccomp_merge(context.get(), one.get());
    if (error < 0) return ErrorNumber(error, "seccomp_merge");
    one.release();  // now part of `context`
  }
  ASSIGN_OR_RETURN(std::string program, Compile(context.get()));
  return SeccompFilter(UnknownCallsPrologue() + program);
}

absl::Status SeccompFilter::Load() const {
  return LoadSeccompProgram(program_);
}

}  // namespace davit
