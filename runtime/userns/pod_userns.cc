#include "runtime/userns/pod_userns.h"

#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/userns/user_namespace.h"

namespace davit {
namespace {

std::string PinPath(const std::string& runtime_dir) {
  return runtime_dir + "/userns";
}

}  // namespace

absl::StatusOr<PodUserns> PreparePodUserns(const IdRanges& ranges,
                                           const std::string& runtime_dir) {
  RETURN_IF_ERROR(UnpinNamespace(PinPath(runtime_dir)));
  Rollback rollback;
  rollback.Add("free id range", [&] { return ranges.Free(runtime_dir); });
  PodUserns userns = {.path = PinPath(runtime_dir)};
  ASSIGN_OR_RETURN(userns.base, ranges.Take(runtime_dir));
  ASSIGN_OR_RETURN(UniqueFd fd, CreateUserNamespace(userns.base));
  RETURN_IF_ERROR(PinNamespace(fd.get(), userns.path), "pin user namespace");
  rollback.Commit();
  return userns;
}

absl::Status RemovePodUserns(const IdRanges& ranges,
                             const std::string& runtime_dir) {
  RETURN_IF_ERROR(UnpinNamespace(PinPath(runtime_dir)), "unpin user namespace");
  return ranges.Free(runtime_dir);
}

}  // namespace davit
