#ifndef DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_

#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// The life of a pod's PID 1 from clone(2) to execve(2): the column of steps in
// kernel order. Runs in the fresh mount, PID, UTS and IPC namespaces of a
// single-threaded process. `netns` is an open network namespace to join, or -1.
// Never returns: it ends as the pod's init, or sends the error through `shim`
// and exits.
[[noreturn]] void RunInside(const LaunchPlan& plan, int netns, Channel shim);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_INSIDE_H_
