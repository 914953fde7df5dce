#ifndef DAVIT_RUNTIME_BOOT_PLAN_BUILDER_H_
#define DAVIT_RUNTIME_BOOT_PLAN_BUILDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/launcher.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// What a plan needs to know of the host.
struct HostFacts {
  std::string os_release;  // content of its os-release file; empty: none
  bool has_selinux = false;
  std::string seccomp_program;  // the pod's filter, compiled
  std::string timezone;         // "Europe/Berlin"; empty: unknown
};

// What a plan needs to know of the pod's root.
// A generator (systemd.generator(7)) that would find nothing to do if it ran
// now, by its file name.
struct PausedGenerator {
  std::string name;
  std::string input;  // the path that would change that; empty: no file
  bool operator==(const PausedGenerator&) const = default;
};

struct GuestFacts {
  std::string init;         // what to execute; empty if init_argv says it
  int systemd_version = 0;  // 252; 0: unknown
  // The machine id that the image brings, as a UUID; empty: it takes ours.
  std::string preset_uuid;
  bool has_timezone = false;  // it has a file for the host's
  // Those of its generators (systemd.generator(7)) that can find nothing to do
  // in a container, by file name.
  std::vector<std::string> idle_generators;
  // Those of which that can change while the pod runs.
  std::vector<PausedGenerator> paused_generators;
  // Its own services that ask for credentials (LoadCredential=), by unit name,
  // if there are none in the root, but each would get a mount for them.
  std::vector<std::string> credential_readers;
};

// InvalidArgument names the field of the request that cannot be.
absl::Status ValidateBootRequest(const BootRequest& request);

// What container_uuid says: the image's own machine id, which systemd keeps
// whatever we say, else the pod's id.
const std::string& ContainerUuid(const BootRequest& request,
                                 const GuestFacts& guest);

// Everything about the boot of a validated request, decided. Pure. `boot_id` is
// a fresh UUID for this boot.
LaunchPlan BuildLaunchPlan(const BootRequest& request, const HostFacts& host,
                           const GuestFacts& guest, const PodCgroup& cgroup,
                           const std::string& boot_id);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_PLAN_BUILDER_H_
