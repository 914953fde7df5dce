#ifndef DAVIT_RUNTIME_BOOT_LAUNCH_PLAN_H_
#define DAVIT_RUNTIME_BOOT_LAUNCH_PLAN_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/sandbox/confinement.h"
#include "runtime/userns/userns.h"

namespace davit {

// One change to the pod's file system tree, made by PID 1 before its exec, with
// the pod's root as "/" already. Paths are looked up inside that root and never
// through /proc's magic links; missing parent directories are made.
struct FsStep {
  enum class Kind {
    kDirectory,     // target, mode
    kFile,          // target, mode; source: the content
    kSymlink,       // target; source: what it points to
    kNode,          // target, mode with its S_IF* type, device
    kMount,         // target; source: type of file system, options, attributes
    kBind,          // target; source: path in the pod; attributes
    kHostBind,      // target; source: path on the host; attributes, recursive
    kHostMount,     // as kMount; its options name paths on the host
    kReadOnly,      // target: a mount point that becomes read-only
    kRemove,        // target: a file
    kConsole,       // target: gets a new pty of /dev/pts; the shim its master
    kNotifySocket,  // target: a socket that the shim reads
    kHeldFifo,      // target: a fifo that the shim holds open
    kTty,           // target: "/dev/pts/N", the next pty; the shim its master
  };
  Kind kind = Kind::kDirectory;
  std::string target;
  std::string source;
  std::string options;  // comma-separated, as mount(8) takes them
  mode_t mode = 0;
  uint64_t device = 0;
  uint64_t attributes = 0;  // MOUNT_ATTR_*, mount_setattr(2)
  bool recursive = false;
  bool only_if_absent = false;  // kFile, kSymlink: keep what is there
  bool if_present = false;      // kBind: skip it if the target is absent
  bool keep_ids = false;        // kHostBind: it has the pod's ids already
  bool operator==(const FsStep&) const = default;
};

// What the pod may do with device nodes. Everything else is refused.
struct DeviceRule {
  char type = 'c';  // 'c' or 'b'
  unsigned major = 0;
  int minor = 0;       // -1: any
  std::string access;  // of "rwm": read, write, mknod
  bool operator==(const DeviceRule&) const = default;
};

// The numbers of a shim's descriptors when it starts: the encoded plan, a
// control connection, a bare mount namespace (bare_mounts.h), then the plan's
// listen_fds.
constexpr int kPlanFdOfShim = 3;
constexpr int kClientFdOfShim = 4;
constexpr int kBareMountsFdOfShim = 5;
constexpr int kFirstListenFdOfShim = 6;

// Everything that the shim does to boot one pod, as values: made by
// BuildLaunchPlan, carried to the shim by plan_codec.h, decided nowhere else.
struct LaunchPlan {
  std::string pod_id;
  std::string hostname;
  std::string root;               // a mount point on the host
  std::string netns_path;         // empty: the host's network
  std::vector<std::string> argv;  // argv[0] is executed, in the pod
  std::vector<std::string> env;   // the whole environment, "K=V"
  uint64_t bounding_capabilities = 0;
  uint64_t open_files_soft = 0;    // RLIMIT_NOFILE
  std::string seccomp_program;     // LoadSeccompProgram
  ProcessConfinement confinement;  // its filter is one more
  std::vector<CgroupDir> cgroups;
  std::vector<FsStep> steps;
  std::vector<DeviceRule> devices;
  std::string runtime_dir;       // shim.sock, shim.json
  std::string state_dir;         // exit.json, console.log
  int64_t cgroup_made_usec = 0;  // wall clock: the phase "cgroup"
  // Sockets that the shim was given for PID 1; there they are 3, 4, …
  int listen_fds = 0;
  // Its user namespace; an empty path: the host's.
  PodUserns userns;
  // Directory of the host where the shim mounts what is /run/host/unix-export
  // in the pod.
  std::string unix_export;
  bool operator==(const LaunchPlan&) const = default;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_LAUNCH_PLAN_H_
