#ifndef DAVIT_RUNTIME_BOOT_INSIDE_USER_STARTER_H_
#define DAVIT_RUNTIME_BOOT_INSIDE_USER_STARTER_H_

#include "runtime/boot/launch_plan.h"
#include "runtime/boot/shim/channel.h"

namespace davit {

// Starts PID 1 of a pod with a user namespace. Three processes share the work,
// because no single one may do all of it:
//
//   starter   this one; takes hold of the host's parts of the tree, enters a
//             mount namespace that the host's users own, joins the pod's cgroup
//             and network, then its user namespace, clones init as a child of
//             the shim, waits for the builder, ends
//   builder   host root in init's PID, IPC and cgroup namespaces: builds the
//             tree, as for any pod, but what it makes belongs to the pod's root
//   init      waits for the tree, takes a copy of it into a mount namespace of
//             its own, and becomes the pod's systemd
//
// Since the tree was made by somebody above the pod's user namespace, the
// kernel locks it in the copy (mount_namespaces(7), "Restrictions on mount
// namespaces"): root in the pod can neither remove what covers a part of /proc
// nor make writable what is read-only, nor mount a /proc or /sys without them.
//
// `userns` is open, the others are as for RunInside. Tells the shim of init
// (kInit), then runs as RunInside. Never returns.
[[noreturn]] void RunUserStarter(const LaunchPlan& plan, int netns,
                                 int bare_mounts, int userns, Channel shim);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_INSIDE_USER_STARTER_H_
