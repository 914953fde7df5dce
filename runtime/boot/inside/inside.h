#ifndef DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_

#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// The life of a pod's PID 1 from clone(2) to execve(2): the column of steps in
// kernel order. Runs in the fresh PID, UTS and IPC namespaces of a
// single-threaded process. Open: `netns`, a network namespace to join, or -1;
// `bare_mounts`, the mount namespace to start from (bare_mounts.h). Never
// returns: it ends as the pod's init, or sends the error through `shim`
// and exits.
[[noreturn]] void RunInside(const LaunchPlan& plan, int netns, int bare_mounts,
                            Channel shim);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_
