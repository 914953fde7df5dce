#ifndef DAVIT_RUNTIME_APP_APP_H_
#define DAVIT_RUNTIME_APP_APP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "runtime/boot/pod_file.h"
#include "runtime/sandbox/confinement.h"

namespace davit {

enum class RestartPolicy { kAlways, kOnFailure, kNever };

// What an app may use at most, and its share (1 to 10000); 0: not said.
struct AppLimits {
  uint64_t memory_max_bytes = 0;
  uint64_t cpu_millis = 0;  // 1000 = one core
  uint64_t cpu_weight = 0;
  bool operator==(const AppLimits&) const = default;
};

// An app of a pod with everything resolved against its image: what its systemd
// service and davit-app need. Values only.
struct AppSpec {
  std::string name;               // DNS label; unit "app-<name>.service"
  std::vector<std::string> argv;  // argv[0] absolute, as seen in the app's root
  std::vector<std::string> env;   // the whole environment, "K=V"
  std::string working_dir = "/";
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<unsigned> supplementary_gids;
  bool read_only_root = false;
  std::string stop_signal = "SIGTERM";
  absl::Duration stop_grace = absl::Seconds(30);
  RestartPolicy restart = RestartPolicy::kAlways;
  // Capability names ("CAP_NET_RAW") to add to and drop from the default set;
  // "ALL" means every one that the pod itself has.
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  bool privileged = false;  // all of the pod's capabilities, no app filter
  bool no_new_privileges = false;
  // Without meaning for a privileged app.
  ProcessConfinement confinement;
  AppLimits limits;  // in its unit
};

// The state of an app as its pod's systemd tells it.
struct AppStatus {
  enum class State {
    kWaiting,  // not started yet, or between two runs of a restart
    kRunning,
    kTerminated,  // and will not be started again
  };
  State state = State::kWaiting;
  std::string reason;  // "ContainerCreating", "CrashLoopBackOff", "Completed",
                       // "Error", "OOMKilled", "StartError"
  std::string message;
  // Of the last run that ended; meaningful if finished_at is set.
  int exit_code = 0;  // 128 + signal when signaled, as shells and kubectl say
  int signal = 0;
  absl::Time started_at = absl::InfinitePast();  // of the current or last run
  absl::Time finished_at = absl::InfinitePast();
  int restarts = 0;
  pid_t main_pid = 0;  // in the pod's pid namespace; 0 if not running
  bool operator==(const AppStatus&) const = default;
};

std::string AppUnitName(absl::string_view app);  // "app-web.service"
// Where the pod sees the app's root: "/opt/stage2/web/rootfs".
std::string AppRootInPod(absl::string_view app);

// The files that make `apps` services of the pod's systemd: unit files in
// /run/systemd/system, the target "davit-apps.target" that wants them all (and
// so keeps their exit truth loaded), and each app's plan in /run/davit/apps for
// davit-app. Pure.
std::vector<PodFile> BuildAppFiles(const std::vector<AppSpec>& apps);

// Where the pod sees the davit-app binary, and its directory; neither may be
// writable there.
inline constexpr char kAppLauncherInPod[] = "/run/host/davit/davit-app";
inline constexpr char kAppLauncherDirInPod[] = "/run/host/davit";
inline constexpr char kAppsTarget[] = "davit-apps.target";

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_APP_H_
