#ifndef DAVIT_RUNTIME_BOOT_POD_PROCESS_H_
#define DAVIT_RUNTIME_BOOT_POD_PROCESS_H_

#include <memory>
#include <string>

#include "runtime/base/process_id.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/event_thread.h"
#include "runtime/boot/launcher.h"
#include "runtime/boot/shim_state.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/pod_home.h"

namespace davit {

// What a PodProcess is made of. `home` and `events` must
// outlive it.
struct PodProcessParts {
  std::string pod_id;
  std::string runtime_dir;
  std::string state_dir;
  const PodHome* home = nullptr;  // whose `cgroup` is
  PodCgroup cgroup;
  PodListener listener;
  EventThread* events = nullptr;
};

// A pod whose shim lives: `socket` is connected to it, `shim_pidfd` holds it
// and `state` is its first message. Follows it from now on.
std::unique_ptr<PodProcess> FollowPod(PodProcessParts parts, ShimState state,
                                      UniqueFd socket, UniqueFd shim_pidfd);

// A pod that has ended already. Calls on_exit, on the event thread.
std::unique_ptr<PodProcess> EndedPod(PodProcessParts parts, ShimState state,
                                     PodExit exit);

// The end of a pod whose shim was killed, so that nobody saw it: kills what is
// left of it, waits for the end of `init`, its PID 1 (pid 0: not known),
// removes its cgroups and writes an exit.json of kind kUnknown.
absl::StatusOr<PodExit> EndLostPod(const PodProcessParts& parts,
                                   const ProcessIdentity& init);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_POD_PROCESS_H_
