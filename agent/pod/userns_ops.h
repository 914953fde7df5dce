#ifndef DAVIT_AGENT_POD_USERNS_OPS_H_
#define DAVIT_AGENT_POD_USERNS_OPS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/userns/userns.h"

namespace davit {

// What a pod's start needs of runtime/userns, to be replaced in tests.
// Thread-safe for different pods.
class UsernsOps {
 public:
  virtual ~UsernsOps() = default;

  // PreparePodUserns and RemovePodUserns of runtime/userns/pod_userns.h, with
  // the machine's registry of id ranges.
  virtual absl::StatusOr<PodUserns> Prepare(const std::string& runtime_dir) = 0;
  virtual absl::Status Remove(const std::string& runtime_dir) = 0;

  // A new network namespace that belongs to the root of `userns`.
  virtual absl::StatusOr<UniqueFd> CreateNetns(const PodUserns& userns) = 0;
};

std::unique_ptr<UsernsOps> NewRealUsernsOps();

}  // namespace davit

#endif  // DAVIT_AGENT_POD_USERNS_OPS_H_
