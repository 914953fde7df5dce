#ifndef DAVIT_RUNTIME_BOOT_SHIM_BPF_PROGRAM_H_
#define DAVIT_RUNTIME_BOOT_SHIM_BPF_PROGRAM_H_

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

// Small BPF programs for cgroups (bpf(2)), written by hand. Register 0 is the
// result, 1 the context at the start, 10 the end of the stack.

namespace davit {

bpf_insn Instruction(int code, int dst, int src, int off, int imm);
// dst = the 32 bits at src + offset.
bpf_insn Load(int dst, int src, int offset);
bpf_insn Copy(int dst, int src);
bpf_insn And(int dst, int mask);
void Return(std::vector<bpf_insn>& code, int value);
// The jumps at these places lead to what is added next.
void Land(std::vector<bpf_insn>& code, const std::vector<size_t>& jumps);

// The error carries the verifier's words.
absl::StatusOr<UniqueFd> LoadProgram(bpf_prog_type type,
                                     const std::vector<bpf_insn>& code);

// One for a hook of the security modules, by the type id of its function
// (KernelTypes). The kernel takes none that may not be used under the GPL: what
// is loaded so may be used under the MIT licence or the GPL-2.0 as well.
absl::StatusOr<UniqueFd> LoadLsmProgram(uint32_t function,
                                        const std::vector<bpf_insn>& code);

// Puts a program on a v2 cgroup and all below it, beside those of others.
absl::Status AttachProgram(int program, bpf_attach_type type,
                           const std::string& cgroup);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_BPF_PROGRAM_H_
