#ifndef DAVIT_AGENT_POD_REAL_ROOTFS_OPS_H_
#define DAVIT_AGENT_POD_REAL_ROOTFS_OPS_H_

#include <memory>

#include "agent/pod/rootfs_ops.h"

namespace davit {

// The machine's own mounts and files, by runtime/rootfs.
std::unique_ptr<RootfsOps> NewRealRootfsOps();

}  // namespace davit

#endif  // DAVIT_AGENT_POD_REAL_ROOTFS_OPS_H_
