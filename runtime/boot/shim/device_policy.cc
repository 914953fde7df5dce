#include "runtime/boot/shim/device_policy.h"

#include <stddef.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/shim/bpf_program.h"

namespace davit {
namespace {

// Registers: 1 is the context (bpf_cgroup_dev_ctx), the rest is our choice.
constexpr int kResult = 0, kContext = 1, kType = 2, kAccess = 3, kMajor = 4,
              kMinor = 5;

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
  Land(code, jumps);
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
  code.push_back(
      Load(kType, kContext, offsetof(bpf_cgroup_dev_ctx, access_type)));
  code.push_back(Copy(kAccess, kType));
  // access_type is (access << 16) | type.
  code.push_back(And(kType, 0xffff));
  code.push_back(Instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16));
  code.push_back(Load(kMajor, kContext, offsetof(bpf_cgroup_dev_ctx, major)));
  code.push_back(Load(kMinor, kContext, offsetof(bpf_cgroup_dev_ctx, minor)));
  for (const DeviceRule& rule : rules) AppendRule(rule, code);
  Return(code, 0);
  return code;
}

absl::Status BoundDevices(const std::vector<DeviceRule>& rules,
                          const std::vector<CgroupDir>& cgroups) {
  std::vector<DeviceRule> bound = rules;
  bound.push_back({'c', 0, 0, "m"});
  bound.push_back({'b', 0, 0, "m"});
  for (const CgroupDir& dir : cgroups) {
    // In a scope the base is the host's systemd's.
    if (dir.v2 || dir.in_scope || !dir.Has("devices") ||
        dir.payload == dir.base) {
      continue;
    }
    RETURN_IF_ERROR(WriteDeviceList(bound, dir.base));
  }
  return absl::OkStatus();
}

absl::Status ApplyDevicePolicy(const std::vector<DeviceRule>& rules,
                               const std::vector<CgroupDir>& cgroups) {
  bool enforced = false;
  for (const CgroupDir& dir : cgroups) {
    if (dir.v2) {
      ASSIGN_OR_RETURN(
          UniqueFd program,
          LoadProgram(BPF_PROG_TYPE_CGROUP_DEVICE, BuildDeviceProgram(rules)));
      RETURN_IF_ERROR(
          AttachProgram(program.get(), BPF_CGROUP_DEVICE, dir.payload));
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
