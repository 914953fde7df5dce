#include "runtime/boot/kernel_guard.h"

#include <linux/magic.h>
#include <string.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/boot/kernel_types.h"
#include "runtime/boot/shim/bpf_program.h"

namespace davit {
namespace {

constexpr int kRefuse = 0, kAllow = 1;
// Registers. 6 to 8 survive calls.
constexpr int kResult = 0, kContext = 1, kObject = 6, kOther = 7, kThird = 8,
              kStack = 10;
constexpr int kNameBytes = 8;
// include/linux/fs.h of the kernel: file::f_mode, file_system_type::fs_flags.
constexpr int kModeWrite = 2;
constexpr int kRequiresDevice = 1, kUsernsMount = 8;
// More than any path of /proc: what is deeper is refused.
constexpr int kProcDepth = 12;
// fs/fuse/control.c
constexpr uint32_t kFusectlMagic = 0x65735543;

// File systems that may be mounted beyond what the kernel lets user namespaces
// mount. By the first 8 bytes of their names. systemd mounts hugetlbfs and
// fusectl by itself.
constexpr const char* kHarmless[] = {"hugetlbf", "fusectl",  "nfs",
                                     "nfs4",     "cifs",     "smb3",
                                     "ceph",     "rpc_pipe", "nfsd"};

uint64_t NameAsNumber(const char* name) {
  uint64_t number = 0;
  memcpy(&number, name, strnlen(name, kNameBytes));
  return number;
}

// Code whose jumps lead to one of two ends.
class Judgement {
 public:
  void Add(bpf_insn insn) { code_.push_back(insn); }
  void AllowIf(bpf_insn jump) { Leave(jump, allowing_); }
  void RefuseIf(bpf_insn jump) { Leave(jump, refusing_); }

  // Otherwise it is refused.
  std::vector<bpf_insn> Finish() && {
    Land(refusing_);
    Return(code_, kRefuse);
    Land(allowing_);
    Return(code_, kAllow);
    return std::move(code_);
  }

  // For jumps to where the code goes on.
  size_t Jump(bpf_insn jump) {
    code_.push_back(jump);
    return code_.size() - 1;
  }
  void Land(const std::vector<size_t>& jumps) { davit::Land(code_, jumps); }

 private:
  void Leave(bpf_insn jump, std::vector<size_t>& jumps) {
    jumps.push_back(Jump(jump));
  }

  std::vector<bpf_insn> code_;
  std::vector<size_t> allowing_, refusing_;
};

bpf_insn IfEqual(int reg, uint32_t value) {
  // JMP32: an immediate of 64 bits would be signed.
  return Instruction(BPF_JMP32 | BPF_JEQ | BPF_K, reg, 0, 0,
                     static_cast<int>(value));
}

bpf_insn IfZero(int reg) {
  return Instruction(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, 0, 0);
}

bpf_insn IfNotZero(int reg) {
  return Instruction(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, 0);
}

bpf_insn IfSame(int reg, int other) {
  return Instruction(BPF_JMP | BPF_JEQ | BPF_X, reg, other, 0, 0);
}

bpf_insn LoadLong(int dst, int src, int offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_DW, dst, src, offset, 0);
}

void SetLong(Judgement& code, int reg, uint64_t value) {
  code.Add(Instruction(BPF_LD | BPF_IMM | BPF_DW, reg, 0, 0,
                       static_cast<int>(value)));
  code.Add(Instruction(0, 0, 0, 0, static_cast<int>(value >> 32)));
}

// The first 8 bytes of the string at `reg`, zeros behind its end, to the end of
// the stack and as a number to `reg`. An empty one if it cannot be read.
void ReadName(Judgement& code, int reg) {
  constexpr int kAt = -2 * kNameBytes;
  for (int at : {kAt, kAt + kNameBytes}) {
    code.Add(Instruction(BPF_ST | BPF_MEM | BPF_DW, kStack, 0, at, 0));
  }
  code.Add(Copy(3, reg));
  code.Add(Copy(1, kStack));
  code.Add(Instruction(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, kAt));
  // It ends what it has read with a zero.
  code.Add(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, kNameBytes + 1));
  code.Add(
      Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel_str));
  code.Add(LoadLong(reg, kStack, kAt));
}

void AllowNames(Judgement& code, int reg,
                const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    SetLong(code, kThird, NameAsNumber(name.c_str()));
    code.AllowIf(IfSame(reg, kThird));
  }
}

// kObject, a dentry, becomes that one of its parents which is right below the
// root of its file system.
void ClimbBelowRoot(Judgement& code, int parent) {
  std::vector<size_t> arrived;
  for (int i = 0; i < kProcDepth; ++i) {
    code.Add(LoadLong(kOther, kObject, parent));
    code.Add(LoadLong(kThird, kOther, parent));
    arrived.push_back(code.Jump(IfSame(kThird, kOther)));
    code.Add(Copy(kObject, kOther));
  }
  code.RefuseIf(Instruction(BPF_JMP | BPF_JA, 0, 0, 0, 0));
  code.Land(arrived);
}

// bpf_lsm_file_open(struct file *)
absl::StatusOr<std::vector<bpf_insn>> BuildOpen(const KernelTypes& types) {
  ASSIGN_OR_RETURN(int mode, types.OffsetOf("file", "f_mode"));
  ASSIGN_OR_RETURN(int inode, types.OffsetOf("file", "f_inode"));
  ASSIGN_OR_RETURN(int dentry, types.OffsetOf("file", "f_path.dentry"));
  ASSIGN_OR_RETURN(int superblock, types.OffsetOf("inode", "i_sb"));
  ASSIGN_OR_RETURN(int magic, types.OffsetOf("super_block", "s_magic"));
  ASSIGN_OR_RETURN(int parent, types.OffsetOf("dentry", "d_parent"));
  ASSIGN_OR_RETURN(int name, types.OffsetOf("dentry", "d_name.name"));
  Judgement code;
  code.Add(LoadLong(kObject, kContext, 0));
  code.Add(Load(kResult, kObject, mode));
  code.Add(And(kResult, kModeWrite));
  code.AllowIf(IfZero(kResult));

  code.Add(LoadLong(kOther, kObject, inode));
  code.Add(LoadLong(kOther, kOther, superblock));
  code.Add(LoadLong(kOther, kOther, magic));
  code.RefuseIf(IfEqual(kOther, SYSFS_MAGIC));
  code.RefuseIf(IfEqual(kOther, kFusectlMagic));
  size_t in_proc = code.Jump(IfEqual(kOther, PROC_SUPER_MAGIC));
  code.AllowIf(Instruction(BPF_JMP | BPF_JA, 0, 0, 0, 0));
  code.Land({in_proc});

  code.Add(LoadLong(kObject, kObject, dentry));
  ClimbBelowRoot(code, parent);
  code.Add(LoadLong(kOther, kObject, name));
  ReadName(code, kOther);
  AllowNames(code, kOther, {"sys", "pressure"});
  // Nothing but a process has a name that begins with a digit.
  code.Add(And(kOther, 0xff));
  code.RefuseIf(Instruction(BPF_JMP | BPF_JLT | BPF_K, kOther, 0, 0, '0'));
  code.AllowIf(Instruction(BPF_JMP | BPF_JLE | BPF_K, kOther, 0, 0, '9'));
  return std::move(code).Finish();
}

// bpf_lsm_sb_set_mnt_opts(struct super_block *, …): each mount of a file
// system, new or known, by mount(2) as by fsmount(2).
absl::StatusOr<std::vector<bpf_insn>> BuildMount(const KernelTypes& types) {
  ASSIGN_OR_RETURN(int type, types.OffsetOf("super_block", "s_type"));
  ASSIGN_OR_RETURN(int name, types.OffsetOf("file_system_type", "name"));
  ASSIGN_OR_RETURN(int flags, types.OffsetOf("file_system_type", "fs_flags"));
  Judgement code;
  code.Add(LoadLong(kObject, kContext, 0));
  code.Add(LoadLong(kObject, kObject, type));
  code.Add(LoadLong(kOther, kObject, name));
  ReadName(code, kOther);
  // Since 6.7 a user namespace has one of its own, but its root this one.
  SetLong(code, kThird, NameAsNumber("binfmt_misc"));
  code.RefuseIf(IfSame(kOther, kThird));
  code.Add(Load(kResult, kObject, flags));
  code.Add(And(kResult, kRequiresDevice | kUsernsMount));
  code.AllowIf(IfNotZero(kResult));
  AllowNames(code, kOther, {std::begin(kHarmless), std::end(kHarmless)});
  return std::move(code).Finish();
}

absl::StatusOr<UniqueFd> LoadHook(const KernelTypes& types,
                                  const std::string& hook,
                                  const std::vector<bpf_insn>& code) {
  ASSIGN_OR_RETURN(uint32_t function, types.FunctionId("bpf_lsm_" + hook));
  return LoadLsmProgram(function, code);
}

// The programs can be loaded all the same, and are never called.
absl::Status CheckRuns() {
  // Not everywhere is it mounted.
  ASSIGN_OR_RETURN(UniqueFd securityfs, NewMount("securityfs", "", 0));
  ASSIGN_OR_RETURN(
      std::string modules,
      ReadFile(absl::StrCat("/proc/self/fd/", securityfs.get(), "/lsm")));
  std::vector<std::string> names =
      absl::StrSplit(absl::StripAsciiWhitespace(modules), ',');
  if (std::count(names.begin(), names.end(), "bpf") > 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("the kernel runs the security modules \"", modules,
                   "\", \"bpf\" is not among them"));
}

// A machine's own security module may let nobody bring another.
absl::Status CheckLoads(const KernelTypes& types) {
  std::vector<bpf_insn> nothing;
  Return(nothing, kAllow);
  absl::Status loaded = LoadHook(types, "file_open", nothing).status();
  if (loaded.ok()) return loaded;
  return absl::UnavailableError(
      absl::StrCat("the kernel takes no program: ", loaded.message()));
}

}  // namespace

absl::StatusOr<KernelGuard> KernelGuard::Load() {
  RETURN_IF_ERROR(CheckRuns());
  ASSIGN_OR_RETURN(KernelTypes types, KernelTypes::Load());
  RETURN_IF_ERROR(CheckLoads(types));
  ASSIGN_OR_RETURN(std::vector<bpf_insn> open, BuildOpen(types));
  ASSIGN_OR_RETURN(std::vector<bpf_insn> mount, BuildMount(types));
  ASSIGN_OR_RETURN(UniqueFd on_open, LoadHook(types, "file_open", open));
  ASSIGN_OR_RETURN(UniqueFd on_mount,
                   LoadHook(types, "sb_set_mnt_opts", mount));
  return KernelGuard(std::move(on_open), std::move(on_mount));
}

absl::Status KernelGuard::Attach(const std::string& cgroup) const {
  for (const UniqueFd* program : {&open_, &mount_}) {
    RETURN_IF_ERROR(AttachProgram(program->get(), BPF_LSM_CGROUP, cgroup));
  }
  return absl::OkStatus();
}

}  // namespace davit
