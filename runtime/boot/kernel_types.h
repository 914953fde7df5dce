#ifndef DAVIT_RUNTIME_BOOT_KERNEL_TYPES_H_
#define DAVIT_RUNTIME_BOOT_KERNEL_TYPES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct btf;

namespace davit {

// What the running kernel says of its own structures and functions (BTF,
// /sys/kernel/btf/vmlinux): BPF programs that look into them need it, since it
// differs from kernel to kernel. Reading it takes some 10 ms. One thread at a
// time.
class KernelTypes {
 public:
  // NotFound if the kernel has been built without it.
  static absl::StatusOr<KernelTypes> Load();

  // Where a member begins, in bytes from the start of "struct <name>". `path`
  // has dots between a member and its own ones, "f_path.dentry"; structures
  // and unions without a name are looked into. NotFound.
  absl::StatusOr<int> OffsetOf(const std::string& name,
                               const std::string& path) const;

  // Its type id, as BPF_PROG_LOAD takes it. NotFound.
  absl::StatusOr<uint32_t> FunctionId(const std::string& name) const;

 private:
  struct Free {
    void operator()(btf* types) const;
  };

  explicit KernelTypes(btf* types) : types_(types) {}

  std::unique_ptr<btf, Free> types_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_KERNEL_TYPES_H_
