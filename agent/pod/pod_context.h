#ifndef DAVIT_AGENT_POD_POD_CONTEXT_H_
#define DAVIT_AGENT_POD_POD_CONTEXT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/pod/detacher.h"
#include "agent/pod/host_ports.h"
#include "agent/pod/launcher_copy.h"
#include "agent/pod/mount_ops.h"
#include "agent/pod/pod_events.h"
#include "agent/pod/pod_paths.h"
#include "agent/pod/pod_table.h"
#include "agent/pod/rootfs_ops.h"
#include "agent/pod/userns_ops.h"
#include "agent/pod/worker_pool.h"
#include "agent/store/pod_store.h"
#include "net/pod_network.h"
#include "runtime/app/pod_apps.h"
#include "runtime/base/step_observer.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/launcher.h"
#include "runtime/cgroup/quick_moves.h"
#include "runtime/image/image_store.h"

namespace davit {

struct PodManagerOptions {
  std::string root = "/var/lib/davit";  // absolute
  std::string state = "/run/davit";     // absolute
  // The davit-app binary, which each pod gets to see.
  std::string app_launcher = "/usr/libexec/davit/davit-app";
  // Root image of pods that name none.
  std::string stage1_image = "localhost/davit/stage1:latest";
  // The node's, read at each start.
  std::string resolv_conf = "/etc/resolv.conf";
  // The pinned network namespace that stands for the node, for pods with the
  // node's network; empty: our own.
  std::string node_netns;
  // The files that seccompProfile.localhostProfile names, read at each start.
  std::string seccomp_dir = "/etc/davit/seccomp";
  absl::Duration ready_timeout = absl::Seconds(60);   // boot until READY=1
  absl::Duration apps_timeout = absl::Seconds(60);    // until all are exec'ed
  absl::Duration retry_interval = absl::Seconds(30);  // of failed undos
  // A pod that reboots sooner than this after its start is restarted with a
  // growing delay.
  absl::Duration quick_reboot = absl::Seconds(10);
  size_t event_capacity = 4096;
  // Hears one sentence about each trouble that no caller is told of (a record
  // that could not be written while a pod ended by itself). May be null;
  // thread-safe.
  std::function<void(const std::string&)> on_problem;
  // Hears of each thing that was found to be nobody's and removed, or could not
  // be; not of dry runs. May be null; thread-safe.
  std::function<void(const GarbageItem&)> on_garbage;
};

// What the manager is built on. Not owned; outlives it.
struct PodManagerDeps {
  PodStore* store = nullptr;
  ImageStore* images = nullptr;
  RootfsOps* rootfs = nullptr;
  PodNetwork* network = nullptr;
  Launcher* launcher = nullptr;
  PodApps* apps = nullptr;
  UsernsOps* userns = nullptr;
  MountOps* mounts = nullptr;
  QuickMoves* quick_moves = nullptr;  // may be null
  // DialLoopback of net/netns/dial.h, LogsAreComplete of
  // runtime/app/log_streams.h, and the node's address now (empty: none).
  std::function<absl::StatusOr<UniqueFd>(const std::string& netns_path,
                                         uint16_t port)>
      dial = nullptr;
  std::function<absl::StatusOr<bool>(const PodRef& pod, const std::string& app)>
      logs_complete = nullptr;
  std::function<std::string()> node_address = nullptr;
};

// What every operation on pods works with.
struct PodContext {
  PodManagerOptions options;
  PodManagerDeps deps;
  StepObserver* observer = nullptr;  // may be null
  AgentPaths paths;
  std::shared_ptr<PodEvents> events;
  std::shared_ptr<WorkerPool> workers;
  PodTable table;
  HostPortTable host_ports;
  std::unique_ptr<Detacher> detacher;
  std::unique_ptr<LauncherCopy> launcher_copy;
  // Held while a pod is being made (shared) and while garbage is collected:
  // what a new pod has must not be taken for nobody's. Before all other locks.
  absl::Mutex garbage;

  void Problem(const std::string& sentence) const {
    if (options.on_problem) options.on_problem(sentence);
  }
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_CONTEXT_H_
