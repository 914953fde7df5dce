#ifndef DAVIT_RUNTIME_CGROUP_HOST_SYSTEMD_H_
#define DAVIT_RUNTIME_CGROUP_HOST_SYSTEMD_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "runtime/cgroup/pod_cgroup.h"

// Calls to the systemd that is PID 1 of the host (org.freedesktop.systemd1(5))
// and to its systemd-machined (org.freedesktop.machine1(5)). Each call makes a
// connection of its own, so all of this is thread-safe; each ends by
// `deadline` with DeadlineExceeded, whatever the other side does.

namespace davit {

// sd_booted(3): PID 1 of this machine is systemd.
bool HostRunsSystemd();

// A scope that is to hold a process of ours and all that comes of it.
struct ScopeSpec {
  std::string unit;   // "x.scope"
  std::string slice;  // "y.slice"; made as needed
  std::string description;
  pid_t pid = 0;  // a child of ours, so that nobody else can get its number
  // DevicePolicy=closed, as systemd.resource-control(5) has it: what a pod may
  // use, and the nodes 0:0. Without it systemd gives the scope no directory in
  // v1's devices hierarchy, since that cannot be delegated.
  bool bound_devices = false;
};

// Starts the scope with Delegate=yes and returns once the process is in it.
// No limit but those of CgroupLimits applies (not systemd's TasksMax=).
// AlreadyExists if the unit exists. Needs no D-Bus daemon: it talks to systemd
// itself, as systemctl does.
absl::Status StartScope(const ScopeSpec& spec, const CgroupLimits& limits,
                        absl::Time deadline);

// Changes the limits of a running scope; 0 lifts one. Whoever writes them into
// the cgroup behind systemd's back loses them at its next reload.
absl::Status SetScopeLimits(const std::string& unit, const CgroupLimits& limits,
                            absl::Time deadline);

// Ends the scope and waits until it is gone, and with it its cgroups. OK if
// there is none. Kills what is in it: call it when the pod has ended.
absl::Status StopScope(const std::string& unit, absl::Time deadline);

// A pod as `machinectl` knows it.
struct MachineSpec {
  std::string name;    // as in MachineName
  std::string pod_id;  // its machine id
  pid_t leader = 0;    // PID 1 of the pod; machined finds the scope by it
  std::string root;    // its root directory on the host
};

// A pod's name as a machine's: a host name of at most 64 characters. One that
// is too long gives up its end for the beginning of its id.
std::string MachineName(const std::string& pod_name, const std::string& pod_id);

// Tells systemd-machined of a pod, starting it if it is installed. If the name
// is taken, "<name>-<start of the pod's id>" is tried. Unavailable if this
// machine has no machined or no D-Bus daemon.
absl::Status RegisterMachine(const MachineSpec& spec, absl::Time deadline);

// Forgets the machine of this scope. OK if there is none. (machined forgets it
// by itself when it hears of the scope's end, a little later.)
absl::Status UnregisterMachine(const std::string& unit, absl::Time deadline);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_HOST_SYSTEMD_H_
