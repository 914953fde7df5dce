#ifndef DAVIT_AGENT_POD_POD_PATHS_H_
#define DAVIT_AGENT_POD_POD_PATHS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// Where the agent keeps its pods: two trees, both relocatable by flag.
//
//   <root>/                      /var/lib/davit: outlives a reboot
//     launcher/davit-app         the app launcher that this agent's pods run
//     pods/<id>/                 one pod; 0700
//       pod.json                 its record (internal.state.v1.PodRecord)
//       upper/, work/            writable layer of its root
//       rootfs/                  mount point of its root (overlay); the apps'
//                                  roots at rootfs/opt/stage2/<app>/rootfs
//       apps/<app>/upper,work/   writable layer of an app
//       logs/journal/            what it has in /var/log/journal
//       logs/work/, journal/     the overlay above it, which the pod sees
//       launcher/davit-app       a hard link to the app launcher
//                                  (launcher_copy.h)
//       empty/                   a lower layer for overlays
//       exit.json, console.log   written by the pod's shim
//     pods/.new-<id>/            a pod that is being created; its rename
//                                  commits
//     trash/<id>/                removed pods while they are deleted
//
//   <state>/                     /run/davit: dies with the machine
//     pods/<id>/                 shim.sock, shim.json, cgroups.json; 0700. Made
//                                  before anything else of a start, so that a
//                                  pin or cgroup without it is not ours
//     unified/                   cgroup v2, where the host mounts none
struct PodPaths {
  std::string dir;
  std::string record;
  std::string upper, work;
  std::string rootfs;
  std::string apps;
  std::string journal, journal_work, journal_mount;
  std::string launcher_dir, app_launcher;
  std::string empty;
  std::string exit_file;
  std::string console_log;
  std::string runtime_dir;

  std::string AppUpper(absl::string_view app) const;
  std::string AppWork(absl::string_view app) const;
  // On the host: where the app's root is mounted.
  std::string AppRoot(absl::string_view app) const;
};

// The directories that hold those of all pods.
struct AgentPaths {
  std::string root;   // absolute
  std::string state;  // absolute

  std::string pods() const;
  std::string trash() const;
  std::string launcher_dir() const;
  std::string runtime_dirs() const;
  PodPaths ForPod(absl::string_view id) const;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_PATHS_H_
