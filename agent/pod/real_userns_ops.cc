#include <fcntl.h>

#include "agent/pod/userns_ops.h"
#include "runtime/base/errno_error.h"
#include "runtime/userns/id_ranges.h"
#include "runtime/userns/pod_userns.h"
#include "runtime/userns/user_namespace.h"

namespace davit {
namespace {

class RealUsernsOps : public UsernsOps {
 public:
  absl::StatusOr<PodUserns> Prepare(const std::string& runtime_dir) override {
    return PreparePodUserns(ranges_, runtime_dir);
  }

  absl::Status Remove(const std::string& runtime_dir) override {
    return RemovePodUserns(ranges_, runtime_dir);
  }

  absl::StatusOr<UniqueFd> CreateNetns(const PodUserns& userns) override {
    UniqueFd fd(open(userns.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return ErrnoError("open(%s)", userns.path);
    return CreateNetnsOwnedBy(fd.get());
  }

 private:
  const IdRanges ranges_{IdRanges::Options()};
};

}  // namespace

std::unique_ptr<UsernsOps> NewRealUsernsOps() {
  return std::make_unique<RealUsernsOps>();
}

}  // namespace davit
