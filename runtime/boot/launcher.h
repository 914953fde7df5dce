#ifndef DAVIT_RUNTIME_BOOT_LAUNCHER_H_
#define DAVIT_RUNTIME_BOOT_LAUNCHER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/exec.h"
#include "runtime/base/process_id.h"
#include "runtime/boot/pod_file.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/statistics.h"
#include "runtime/sandbox/confinement.h"
#include "runtime/userns/userns.h"

namespace davit {

class KernelGuard;

// A file or directory of the host that the pod sees.
struct PodBind {
  std::string source;  // absolute, on the host; must exist
  std::string target;  // absolute, in the pod; its mount point is created
  bool read_only = true;
  bool keep_ids = false;  // with a user namespace: the pod's ids already
};

// Directories of the host that the pod sees as one, the first on top: an
// overlay without an upper layer. Not even the pod's root can make it writable,
// as one without a user namespace can a read-only bind.
struct PodOverlay {
  std::vector<std::string> lower_dirs;  // absolute, on the host; at least 2
  // Below /run/host, where systemd leaves alone what the manager has mounted;
  // the directory is created.
  std::string target;
};

// A user of the host that the pod's own programs know too: a record in
// /run/host/userdb that nss-systemd(8) reads, with a group of the same name.
struct PodUser {
  std::string name;  // as useradd(8) takes it
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;  // of the host; /run/host/home/<name> in the pod. May be ""
  std::string shell = "/bin/sh";
};

// What a pod's boot needs; values only. The root file system is mounted and the
// netns is connected already.
struct BootRequest {
  std::string pod_id;  // UUID: container_uuid, and machine-id if empty there
  std::string hostname;
  // The pod's name for systemd-machined, where the host runs it; empty: it is
  // not told.
  std::string machine_name;
  std::string rootfs;      // a mount point; submounts come along
  std::string netns_path;  // empty: the host's network
  // Its users are not the host's: made by PreparePodUserns, and the root is
  // mounted with it (OverlaySpec::userns). A netns of its own should be owned
  // by it (CreateNetnsOwnedBy), or the pod cannot configure it. Empty path: the
  // host's users.
  PodUserns userns;
  std::vector<std::string> init_argv;  // empty: the root image's own systemd
  std::vector<std::string> init_args;  // appended to it, "--log-target=…"
  std::map<std::string, std::string> env;          // more for PID 1
  std::map<std::string, std::string> credentials;  // systemd credentials
  std::vector<PodBind> binds;
  std::vector<PodOverlay> overlays;
  std::vector<PodFile> files;  // written before PID 1 starts
  std::vector<PodUser> users;
  // Logins on so many ptys more (container_ttys), beside the console's; 0 to 8.
  int extra_ttys = 0;
  // Sockets for the pod's systemd, as by socket activation (sd_listen_fds(3)):
  // open in the caller, who may close them after Start.
  std::vector<int> listen_fds;
  // The directory that is /var/log/journal in the pod (by a bind). Where the
  // host keeps a journal of its own, it gets a link to it for "journalctl -m".
  // Empty: no link.
  std::string journal_dir;
  CgroupLimits limits;
  // Beside the filter that every pod has.
  ProcessConfinement confinement;
  // <runtime_dir>: sockets and what dies with the machine (shim.sock,
  // shim.json). <state_dir>: what must outlive a reboot (exit.json,
  // console.log). Both exist, private to this pod, mode 0700.
  std::string runtime_dir;
  std::string state_dir;
  absl::Duration ready_timeout = absl::Seconds(60);
};

// How a pod's PID 1 ended (facts/systemd-containers.md 3b.5).
struct PodExit {
  enum class Kind {
    kUnknown,   // the shim was lost as well: nobody saw it
    kExited,    // "systemctl exit N": code
    kPowerOff,  // poweroff or halt from inside, or a clean stop
    kReboot,
    kSignaled,  // signal
  };
  Kind kind = Kind::kUnknown;
  int code = 0;
  int signal = 0;
  bool oom_killed = false;      // the kernel's OOM killer hit the pod's cgroup
  bool stop_requested = false;  // somebody asked for it through the shim
  absl::Time at;
};

// One mark of a start, for timing: "cgroup", "clone", "mounts", "exec",
// "ready". Stable names, in this order.
struct BootPhase {
  std::string name;
  absl::Time at;
};

// Resources of the pod's cgroup as they are now.
using PodUsage = CgroupStatistics;

// A started systemd container, alive or not. Obtained from Launcher; outlived
// by it. Thread-safe.
class PodProcess {
 public:
  virtual ~PodProcess() = default;

  virtual ProcessIdentity init() const = 0;  // host pid of the pod's PID 1
  virtual ProcessIdentity shim() const = 0;
  // cgroup directories of the payload by controller ("" is v2, "memory", …).
  virtual std::map<std::string, std::string> cgroups() const = 0;

  // Waits for READY=1 of the pod's systemd. FailedPrecondition with the last
  // console lines if it ended instead; DeadlineExceeded after `timeout`.
  virtual absl::Status WaitReady(absl::Duration timeout) = 0;

  // Waits until PID 1 is gone, no process is left in the cgroup, and exit.json
  // is on disk. DeadlineExceeded.
  virtual absl::StatusOr<PodExit> WaitExit(absl::Duration timeout) = 0;

  // Clean shutdown: SIGRTMIN+3 once PID 1 can take it, resent while needed;
  // after `grace` the whole cgroup is killed. OK also when it is gone already.
  virtual absl::StatusOr<PodExit> Stop(absl::Duration grace) = 0;

  // The same, but returns at once.
  virtual absl::Status BeginStop(absl::Duration grace) = 0;
  // Waits until PID 1 has ended, and with it all processes of its PID
  // namespace; what the shim has to do then is done when WaitExit returns.
  // DeadlineExceeded.
  virtual absl::Status WaitProcesses(absl::Duration timeout) = 0;

  virtual std::vector<BootPhase> phases() const = 0;
  virtual absl::StatusOr<PodUsage> Usage() const = 0;

  // Replaces the limits of the whole pod; what is not in `limits` is lifted.
  virtual absl::Status ChangeLimits(const CgroupLimits& limits) = 0;
  // Stops all processes of the pod where they are, and lets them go on;
  // idempotent. DeadlineExceeded, and they run, if one does not stop.
  virtual absl::Status Freeze() = 0;
  virtual absl::Status Thaw() = 0;

  // The console of PID 1 as a session, which may be one of several; its end
  // changes nothing for the pod. It gives the last 64 KiB that were printed,
  // then what comes; who reads slowly misses some of it. What is written is
  // typed, if `typing`. Resize sets the window of all sessions; Kill is
  // refused; Wait gives 0 when the pod has ended. FailedPrecondition if it has
  // ended already.
  virtual absl::StatusOr<std::unique_ptr<ExecSession>> AttachConsole(
      bool typing) = 0;
};

// What a start can do before root and network are there: a shim that waits in
// the cgroups of its pod. Its destructor ends it and removes them;
// Launcher::Boot takes it over. One thread at a time.
class PreparedPod {
 public:
  virtual ~PreparedPod() = default;
};

// Hears of a pod's life on the launcher's own event thread: return quickly and
// call no PodProcess method that waits.
struct PodListener {
  std::function<void()> on_ready;
  std::function<void(const std::string&)> on_status;  // STATUS= of its systemd
  std::function<void(const PodExit&)> on_exit;        // once
  // Something beside the pod failed, and the pod goes on without it. Called in
  // Start, on its thread.
  std::function<void(const absl::Status&)> on_trouble;
};

// Boots systemd containers: runtime/boot's one header that agent/ sees.
// Implements systemd's Container Interface (docs: CONTAINER_INTERFACE). The
// daemon forks nothing: each pod gets a davit-shim of its own, which clones
// PID 1, owns its console, notify socket and exit, and outlives the daemon.
class Launcher {
 public:
  virtual ~Launcher() = default;

  // The first half of a start, for a caller who makes root and network at the
  // same time. Of `request` it needs pod_id, hostname, userns, listen_fds,
  // limits, runtime_dir and state_dir; Boot shall be given the same ones.
  // AlreadyExists if the pod runs. On error nothing is left.
  virtual absl::StatusOr<std::unique_ptr<PreparedPod>> Prepare(
      const BootRequest& request) = 0;

  // The second half: starts the pod's systemd and returns once it has been
  // exec'ed (READY comes later). On error nothing is left: no process, cgroup
  // or file. Errors name the step; FailedPrecondition if the root has no
  // systemd or init.
  virtual absl::StatusOr<std::unique_ptr<PodProcess>> Boot(
      std::unique_ptr<PreparedPod> prepared, const BootRequest& request,
      PodListener listener) = 0;

  // Both.
  absl::StatusOr<std::unique_ptr<PodProcess>> Start(const BootRequest& request,
                                                    PodListener listener) {
    absl::StatusOr<std::unique_ptr<PreparedPod>> prepared = Prepare(request);
    if (!prepared.ok()) return prepared.status();
    return Boot(*std::move(prepared), request, std::move(listener));
  }

  // Takes up a pod that an earlier agent started, alive or ended meanwhile.
  // on_exit is called for one that has ended (kUnknown if the shim was killed
  // too; then the payload has been killed by its cgroup). NotFound if there is
  // no trace of it.
  virtual absl::StatusOr<std::unique_ptr<PodProcess>> Recover(
      const std::string& pod_id, const std::string& runtime_dir,
      const std::string& state_dir, PodListener listener) = 0;

  // Kills whatever is left of a pod and removes its cgroups and the files in
  // runtime_dir. Idempotent; for pods that are not recovered.
  virtual absl::Status Destroy(const std::string& pod_id,
                               const std::string& runtime_dir) = 0;

  // Ids of pods that have a cgroup below our parent: for reconciliation.
  virtual absl::StatusOr<std::vector<std::string>> ListCgroups() = 0;
};

struct LauncherOptions {
  std::string shim_path;  // the davit-shim binary
  // The directory below our own cgroup; with a systemd as the host's PID 1 the
  // slice (without ".slice") of the pods' scopes.
  std::string cgroup_parent = "davit";
  // Where cgroup v2 is mounted for our pods if the host mounts it nowhere
  // (runtime/cgroup/unified_mount.h), with "unified" as its last component.
  // Created if it is needed; without it such a host is refused.
  std::string unified_dir;
  // The host's time zone (a link into zoneinfo, localtime(5)), its journal and
  // its machine-id(5).
  std::string localtime = "/etc/localtime";
  std::string journal_root = "/var/log/journal";
  std::string machine_id = "/etc/machine-id";
  // For pods without a user namespace, unless a writable bind gives them the
  // kernel's files. Outlives the launcher. Null: root in them is kept from less
  // (docs/container-interface.md).
  const KernelGuard* guard = nullptr;
};

absl::StatusOr<std::unique_ptr<Launcher>> NewLauncher(
    const LauncherOptions& options);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_LAUNCHER_H_
