#include "runtime/sandbox/seccomp.h"

#include <seccomp.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/sandbox/seccomp_context.h"
#include "runtime/sandbox/seccomp_program.h"

namespace davit {
namespace {

// An empty filter for one architecture.
absl::StatusOr<SeccompContext> NewContext(uint32_t architecture) {
  ASSIGN_OR_RETURN(SeccompContext context, NewSeccompContext(SCMP_ACT_ALLOW));
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

}  // namespace

absl::StatusOr<SeccompFilter> SeccompFilter::Create(
    const SeccompProfile& profile) {
  SeccompContext context;
  for (uint32_t architecture : SeccompArchitectures()) {
    ASSIGN_OR_RETURN(SeccompContext one, NewContext(architecture));
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
  ASSIGN_OR_RETURN(std::string program, ExportSeccomp(context));
  return SeccompFilter(UnknownCallsPrologue() + program);
}

absl::Status SeccompFilter::Load() const {
  return LoadSeccompProgram(program_);
}

}  // namespace davit
