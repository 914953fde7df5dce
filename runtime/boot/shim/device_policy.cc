#include "runtime/boot/shim/device_policy.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// Registers: 1 is the context (bpf_cgroup_dev_ctx), the rest is our choice.
constexpr int kResult = 0, kContext = 1, kType = 2, kAccess = 3, kMajor = 4,
              kMinor = 5;

bpf_insn Instruction(int code, int dst, int src, int off, int imm) {
  bpf_insn insn = {};
  insn.code = static_cast<__u8>(code);
  insn.dst_reg = static_cast<__u8>(dst) & 15;
  insn.src_reg = static_cast<__u8>(src) & 15;
  insn.off = static_cast<__s16>(off);
  insn.imm = imm;
  return insn;
}

bpf_insn Load(int dst, size_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, dst, kContext,
                     static_cast<int>(offset), 0);
}

bpf_insn Copy(int dst, int src) {
  return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

bpf_insn And(int dst, int mask) {
  return Instruction(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, mask);
}

void Return(std::vector<bpf_insn>& code, int value) {
  code.push_back(
      Instruction(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, value));
  code.push_back(Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

int AccessBits(const std::string& access) {
  int bits = 0;
  for (char c : access) {
    if (c == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (c == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (c == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

// Returns 1 if the rule matches and covers all of the wanted access, else falls
// through.
void AppendRule(const DeviceRule& rule, std::vector<bpf_insn>& code) {
  std::vector<size_t> jumps;  // to behind this rule
  auto skip_unless_equal = [&](int reg, int value) {
    jumps.push_back(code.size());
    code.push_back(Instruction(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, value));
  };
  skip_unless_equal(
      kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  skip_unless_equal(kMajor, static_cast<int>(rule.major));
  if (rule.minor >= 0) skip_unless_equal(kMinor, rule.minor);
  code.push_back(Copy(kResult, kAccess));
  code.push_back(And(kResult, ~AccessBits(rule.access) & 7));
  skip_unless_equal(kResult, 0);
  Return(code, 1);
  for (size_t jump : jumps) {
    code[jump].off = static_cast<__s16>(code.size() - jump - 1);
  }
}

absl::StatusOr<UniqueFd> LoadProgram(const std::vector<bpf_insn>& code) {
  std::string log(8192, '\0');
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = reinterpret_cast<uintptr_t>(code.data());
  attr.insn_cnt = static_cast<__u32>(code.size());
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  UniqueFd fd(
      static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
  if (fd) return fd;
  // Again, for the verifier's words.
  attr.log_buf = reinterpret_cast<uintptr_t>(log.data());
  attr.log_size = static_cast<__u32>(log.size());
  attr.log_level = 1;
  fd.Reset(
      static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
  if (fd) return fd;
  return ErrnoError("bpf(BPF_PROG_LOAD, CGROUP_DEVICE) \"%s\"", log.c_str());
}

absl::Status AttachProgram(int program, const std::string& cgroup) {
  UniqueFd directory(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoError("open(%s, O_DIRECTORY)", cgroup);
  bpf_attr attr = {};
  attr.target_fd = static_cast<__u32>(directory.get());
  attr.attach_bpf_fd = static_cast<__u32>(program);
  attr.attach_type = BPF_CGROUP_DEVICE;
  // The pod's own systemd attaches programs below for DeviceAllow=.
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0) {
    return ErrnoError("bpf(BPF_PROG_ATTACH, %s)", cgroup);
  }
  return absl::OkStatus();
}

absl::Status WriteDeviceList(const std::vector<DeviceRule>& rules,
                             const std::string& cgroup) {
  RETURN_IF_ERROR(WriteKernelFile(cgroup + "/devices.deny", "a"));
  for (const DeviceRule& rule : rules) {
    std::string minor = rule.minor < 0 ? "*" : absl::StrCat(rule.minor);
    RETURN_IF_ERROR(
        WriteKernelFile(cgroup + "/devices.allow",
                        absl::StrCat(std::string(1, rule.type), " ", rule.major,
                                     ":", minor, " ", rule.access)));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<bpf_insn> BuildDeviceProgram(const std::vector<DeviceRule>& rules) {
  std::vector<bpf_insn> code;
  code.push_back(Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)));
  code.push_back(Copy(kAccess, kType));
  // access_type is (access << 16) | type.
  code.push_back(And(kType, 0xffff));
  code.push_back(Instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16));
  code.push_back(Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)));
  code.push_back(Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)));
  for (const DeviceRule& rule : rules) AppendRule(rule, code);
  Return(code, 0);
  return code;
}

absl::Status ApplyDevicePolicy(const std::vector<DeviceRule>& rules,
                               const std::vector<CgroupDir>& cgroups) {
  bool enforced = false;
  for (const CgroupDir& dir : cgroups) {
    if (dir.v2) {
      ASSIGN_OR_RETURN(UniqueFd program,
                       LoadProgram(BuildDeviceProgram(rules)));
      RETURN_IF_ERROR(AttachProgram(program.get(), dir.payload));
      enforced = true;
    } else if (dir.Has("devices")) {
      RETURN_IF_ERROR(WriteDeviceList(rules, dir.payload));
      enforced = true;
    }
  }
  if (!enforced) {
    return absl::FailedPreconditionError(
        "no cgroup hierarchy can keep the pod from the host's devices: mount "
        "cgroup2 or the devices controller");
  }
  return absl::OkStatus();
}

}  // namespace davit
