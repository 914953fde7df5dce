#include "runtime/sandbox/oci_seccomp.h"

#include <linux/filter.h>
#include <seccomp.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/sandbox/seccomp_context.h"

namespace davit {
namespace {

bool LetsPass(uint32_t action) {
  return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG;
}

// Of those that the profile names, the ones that this CPU can run.
absl::Status AddArchitectures(const SeccompContext& context,
                              const OciSeccomp& profile) {
  const std::vector<uint32_t> ours = SeccompArchitectures();
  for (uint32_t architecture : profile.architectures) {
    if (std::find(ours.begin(), ours.end(), architecture) == ours.end()) {
      continue;
    }
    int error = seccomp_arch_add(context.get(), architecture);
    if (error < 0 && error != -EEXIST) {
      return ErrorNumber(error, "seccomp_arch_add(%#x)", architecture);
    }
  }
  return absl::OkStatus();
}

absl::Status Add(const SeccompContext& context, uint32_t action, int number,
                 const std::string& name,
                 const std::vector<scmp_arg_cmp>& arguments) {
  int error = seccomp_rule_add_array(context.get(), action, number,
                                     static_cast<unsigned>(arguments.size()),
                                     arguments.data());
  if (error < 0) return ErrorNumber(error, "seccomp_rule_add(%s)", name);
  return absl::OkStatus();
}

// All of a rule's comparisons must hold; but two of one argument, which
// libseccomp refuses, are alternatives, and then all of them are.
absl::Status AddCall(const SeccompContext& context, const OciSeccompRule& rule,
                     const std::string& name) {
  int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) return absl::OkStatus();
  std::vector<scmp_arg_cmp> arguments;
  std::set<unsigned> indices;
  for (const OciSeccompArgument& argument : rule.arguments) {
    arguments.push_back({argument.index,
                         static_cast<scmp_compare>(argument.compare),
                         argument.value, argument.value_two});
    indices.insert(argument.index);
  }
  if (indices.size() == arguments.size()) {
    return Add(context, rule.action, number, name, arguments);
  }
  for (const scmp_arg_cmp& argument : arguments) {
    RETURN_IF_ERROR(Add(context, rule.action, number, name, {argument}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CompileOciSeccomp(const OciSeccomp& profile) {
  ASSIGN_OR_RETURN(SeccompContext context,
                   NewSeccompContext(profile.default_action));
  RETURN_IF_ERROR(AddArchitectures(context, profile));
  for (size_t i = 0; i < profile.rules.size(); ++i) {
    const OciSeccompRule& rule = profile.rules[i];
    // libseccomp refuses what says nothing.
    if (rule.action == profile.default_action) continue;
    for (const std::string& name : rule.names) {
      RETURN_IF_ERROR(AddCall(context, rule, name),
                      absl::StrFormat("syscalls[%d]", i));
    }
  }
  ASSIGN_OR_RETURN(std::string program, ExportSeccomp(context));
  if (!LetsPass(profile.default_action)) {
    program = UnknownCallsPrologue() + program;
  }
  size_t instructions = program.size() / sizeof(sock_filter);
  if (instructions > BPF_MAXINSNS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "syscalls: the filter has %d instructions, the kernel takes %d",
        instructions, BPF_MAXINSNS));
  }
  return program;
}

}  // namespace davit
