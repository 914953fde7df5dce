#ifndef DAVIT_AGENT_POD_MOUNT_OPS_H_
#define DAVIT_AGENT_POD_MOUNT_OPS_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "runtime/boot/live_mount.h"

namespace davit {

// MountLive and UnmountLive of runtime/boot/live_mount.h, to be replaced in
// tests. Thread-safe.
class MountOps {
 public:
  virtual ~MountOps() = default;

  virtual absl::Status Mount(
      const ProcessIdentity& init, const PodUserns& userns,
      const LiveMount& mount,
      const std::function<absl::Status(uint64_t mount_id)>& record) {
    return MountLive(init, userns, mount, record);
  }
  virtual absl::Status Unmount(const ProcessIdentity& init,
                               const LiveMount& mount, uint64_t mount_id,
                               bool force) {
    return UnmountLive(init, mount, mount_id, force);
  }
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_MOUNT_OPS_H_
