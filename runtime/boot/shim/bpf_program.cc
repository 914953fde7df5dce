#include "runtime/boot/shim/bpf_program.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "runtime/base/errno_error.h"

namespace davit {
namespace {

absl::StatusOr<UniqueFd> Load(bpf_attr attr,
                              const std::vector<bpf_insn>& code) {
  attr.insns = reinterpret_cast<uintptr_t>(code.data());
  attr.insn_cnt = static_cast<__u32>(code.size());
  UniqueFd fd(
      static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
  if (fd) return fd;
  // Again, for the verifier's words.
  std::string log(64 << 10, '\0');
  attr.log_buf = reinterpret_cast<uintptr_t>(log.data());
  attr.log_size = static_cast<__u32>(log.size());
  attr.log_level = 1;
  fd.Reset(
      static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
  if (fd) return fd;
  return ErrnoError("bpf(BPF_PROG_LOAD, type %d) \"%s\"",
                    static_cast<int>(attr.prog_type), log.c_str());
}

}  // namespace

bpf_insn Instruction(int code, int dst, int src, int off, int imm) {
  bpf_insn insn = {};
  insn.code = static_cast<__u8>(code);
  insn.dst_reg = static_cast<__u8>(dst) & 15;
  insn.src_reg = static_cast<__u8>(src) & 15;
  insn.off = static_cast<__s16>(off);
  insn.imm = imm;
  return insn;
}

bpf_insn Load(int dst, int src, int offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, dst, src, offset, 0);
}

bpf_insn Copy(int dst, int src) {
  return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

bpf_insn And(int dst, int mask) {
  return Instruction(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, mask);
}

void Return(std::vector<bpf_insn>& code, int value) {
  code.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value));
  code.push_back(Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

void Land(std::vector<bpf_insn>& code, const std::vector<size_t>& jumps) {
  for (size_t jump : jumps) {
    code[jump].off = static_cast<__s16>(code.size() - jump - 1);
  }
}

absl::StatusOr<UniqueFd> LoadProgram(bpf_prog_type type,
                                     const std::vector<bpf_insn>& code) {
  bpf_attr attr = {};
  attr.prog_type = type;
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  return Load(attr, code);
}

absl::StatusOr<UniqueFd> LoadLsmProgram(uint32_t function,
                                        const std::vector<bpf_insn>& code) {
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_LSM;
  attr.expected_attach_type = BPF_LSM_CGROUP;
  attr.attach_btf_id = function;
  attr.license = reinterpret_cast<uintptr_t>("Dual MIT/GPL");
  return Load(attr, code);
}

absl::Status AttachProgram(int program, bpf_attach_type type,
                           const std::string& cgroup) {
  UniqueFd directory(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoError("open(%s, O_DIRECTORY)", cgroup);
  bpf_attr attr = {};
  attr.target_fd = static_cast<__u32>(directory.get());
  attr.attach_bpf_fd = static_cast<__u32>(program);
  attr.attach_type = type;
  // The pod's own systemd attaches programs below for DeviceAllow=.
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0) {
    return ErrnoError("bpf(BPF_PROG_ATTACH, %s)", cgroup);
  }
  return absl::OkStatus();
}

}  // namespace davit
