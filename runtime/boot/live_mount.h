#ifndef DAVIT_RUNTIME_BOOT_LIVE_MOUNT_H_
#define DAVIT_RUNTIME_BOOT_LIVE_MOUNT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "runtime/base/process_id.h"
#include "runtime/userns/userns.h"

// Mounts in a pod that runs, by descriptors (open_tree(2), mount_setattr(2),
// move_mount(2)): nothing of the pod is asked or executed. Thread-safe; the
// pod's mount namespace is entered by threads made for it.

namespace davit {

struct LiveMount {
  std::string source;  // absolute, on the host; a directory or any other file
  // Where `target` begins, as the pod's PID 1 sees it: "/", or the root of an
  // app.
  std::string root = "/";
  // Below `root`, which no symlink of the pod leads out of. What is missing is
  // made, the pod's root owns it. The last part is no symlink.
  std::string target;
  // For its apps, and for all of a pod with a user namespace; root of another
  // may mount, and so can lift it.
  bool read_only = false;
};

// Shows `source`, with what is mounted below it, at the target; its ids are
// the pod's if that has a user namespace. What the host or the pod mounts below
// later is seen on its own side only. `record` is called with the mount's id
// (statx(2), STATX_MNT_ID) before the pod can see it; an error of it ends the
// call. NotFound: there is no source, or no such pod (any more).
// FailedPrecondition: a target of another type, or a file system that cannot
// map ids.
absl::Status MountLive(
    const ProcessIdentity& init, const PodUserns& userns,
    const LiveMount& mount,
    const std::function<absl::Status(uint64_t mount_id)>& record);

// Takes it away, wherever the pod has moved it; with `force` also while it is
// in use: it is no longer found, and goes with its last user (MNT_DETACH). OK
// if it is not there. FailedPrecondition if it is in use, if something is
// mounted below it, or (also with `force`) over it.
absl::Status UnmountLive(const ProcessIdentity& init, const LiveMount& mount,
                         uint64_t mount_id, bool force);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_LIVE_MOUNT_H_
