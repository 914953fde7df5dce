#include "runtime/boot/kernel_types.h"

#include <bpf/btf.h>

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

struct Member {
  uint32_t bits = 0;  // from the start of the structure
  uint32_t type = 0;
};

// Typedefs and const are no structures.
const btf_type* Resolve(const btf* types, uint32_t id) {
  const btf_type* type = btf__type_by_id(types, id);
  while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type))) {
    type = btf__type_by_id(types, type->type);
  }
  return type;
}

std::optional<Member> Find(const btf* types, const btf_type* in,
                           const std::string& name) {
  if (in == nullptr || !btf_is_composite(in)) return std::nullopt;
  for (uint32_t i = 0; i < btf_vlen(in); ++i) {
    const btf_member& member = btf_members(in)[i];
    Member found{btf_member_bit_offset(in, i), member.type};
    std::string its_name = btf__name_by_offset(types, member.name_off);
    if (its_name == name) return found;
    if (!its_name.empty()) continue;
    std::optional<Member> inner =
        Find(types, Resolve(types, member.type), name);
    if (inner.has_value()) {
      inner->bits += found.bits;
      return inner;
    }
  }
  return std::nullopt;
}

absl::StatusOr<uint32_t> IdOf(const btf* types, const std::string& name,
                              uint32_t kind) {
  int id = btf__find_by_name_kind(types, name.c_str(), kind);
  if (id >= 0) return static_cast<uint32_t>(id);
  return absl::NotFoundError(
      absl::StrCat("the kernel has no type information of ", name));
}

}  // namespace

void KernelTypes::Free::operator()(btf* types) const { btf__free(types); }

absl::StatusOr<KernelTypes> KernelTypes::Load() {
  btf* types = btf__load_vmlinux_btf();
  if (types != nullptr) return KernelTypes(types);
  return ErrnoError("btf__load_vmlinux_btf()");
}

absl::StatusOr<int> KernelTypes::OffsetOf(const std::string& name,
                                          const std::string& path) const {
  ASSIGN_OR_RETURN(uint32_t id, IdOf(types_.get(), name, BTF_KIND_STRUCT));
  Member at{0, id};
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(path, '.'))) {
    std::optional<Member> found =
        Find(types_.get(), Resolve(types_.get(), at.type), part);
    if (!found.has_value()) {
      return absl::NotFoundError(
          absl::StrCat("the kernel's struct ", name, " has no ", path));
    }
    at = {at.bits + found->bits, found->type};
  }
  return static_cast<int>(at.bits / 8);
}

absl::StatusOr<uint32_t> KernelTypes::FunctionId(
    const std::string& name) const {
  return IdOf(types_.get(), name, BTF_KIND_FUNC);
}

}  // namespace davit
