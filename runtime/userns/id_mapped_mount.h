#ifndef DAVIT_RUNTIME_USERNS_ID_MAPPED_MOUNT_H_
#define DAVIT_RUNTIME_USERNS_ID_MAPPED_MOUNT_H_

#include "absl/status/status.h"

namespace davit {

// Maps the ids of `mount`, which is attached nowhere (open_tree(2),
// OPEN_TREE_CLONE), by the user namespace `userns`, for good: its files get the
// owners that the pod shall see (mount_setattr(2), MOUNT_ATTR_IDMAP).
// `recursive`: also of what is mounted below. FailedPrecondition if a file
// system of it cannot do that, or is mapped already.
absl::Status MapMountIds(int mount, int userns, bool recursive);

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_ID_MAPPED_MOUNT_H_
