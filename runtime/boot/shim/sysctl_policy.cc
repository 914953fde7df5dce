#include "runtime/boot/shim/sysctl_policy.h"

#include <stddef.h>
#include <string.h>

#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/shim/bpf_program.h"

namespace davit {
namespace {

constexpr int kRefuse = 0, kAllow = 1;
constexpr int kStack = 10;
constexpr int kNameBytes = 8;

// r0 = result of bpf_sysctl_get_name(context, stack - 8, 8, 0): the beginning
// of "net/ipv4/ip_forward" on the stack. The context is still in register 1.
void CallGetName(std::vector<bpf_insn>& code) {
  code.push_back(Copy(2, kStack));
  code.push_back(
      Instruction(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -kNameBytes));
  code.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, kNameBytes));
  code.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0));
  code.push_back(
      Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sysctl_get_name));
}

}  // namespace

std::vector<bpf_insn> BuildSysctlProgram(bool own_network) {
  constexpr int kReturn = 2;  // instructions
  std::vector<bpf_insn> code;
  code.push_back(Load(2, 1, offsetof(bpf_sysctl, write)));
  code.push_back(Instruction(BPF_JMP | BPF_JNE | BPF_K, 2, 0, kReturn, 0));
  Return(code, kAllow);  // a read
  if (own_network) {
    int net = 0;
    memcpy(&net, "net/", sizeof(net));
    // Longer names are cut off, which is no matter.
    CallGetName(code);
    code.push_back(Load(2, kStack, -kNameBytes));
    code.push_back(
        Instruction(BPF_JMP32 | BPF_JNE | BPF_K, 2, 0, kReturn, net));
    Return(code, kAllow);
  }
  Return(code, kRefuse);
  return code;
}

absl::Status ApplySysctlPolicy(bool own_network,
                               const std::vector<CgroupDir>& cgroups) {
  for (const CgroupDir& dir : cgroups) {
    if (!dir.v2) continue;
    ASSIGN_OR_RETURN(UniqueFd program,
                     LoadProgram(BPF_PROG_TYPE_CGROUP_SYSCTL,
                                 BuildSysctlProgram(own_network)));
    RETURN_IF_ERROR(
        AttachProgram(program.get(), BPF_CGROUP_SYSCTL, dir.payload));
  }
  return absl::OkStatus();
}

}  // namespace davit
