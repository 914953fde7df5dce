#include "runtime/sandbox/seccomp_profile.h"

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <sys/socket.h>

#include <initializer_list>

namespace davit {
namespace {

constexpr const char* kPodDenied[] = {
    // The kernel itself.
    "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "create_module", "get_kernel_syms", "query_module",
    // The machine's clocks, swap, quotas, accounting, log and I/O ports.
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime",
    "clock_adjtime64", "adjtimex", "stime", "swapon", "swapoff", "quotactl",
    "quotactl_fd", "acct", "syslog", "iopl", "ioperm",
    // Views into other containers: file handles ignore mounts, keyrings and
    // perf are not namespaced, fanotify marks whole file systems.
    "open_by_handle_at", "add_key", "request_key", "keyctl", "perf_event_open",
    "bpf", "fanotify_init", "fanotify_mark", "lookup_dcookie",
    // Attack surface without users.
    "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "afs_syscall",
    "vserver"};

// Denied to apps beside the pod's list, whatever capabilities they have.
constexpr const char* kAppDenied[] = {"userfaultfd",    "migrate_pages",
                                      "move_pages",     "io_uring_setup",
                                      "io_uring_enter", "io_uring_register"};

// Denied to apps without the capability.
struct Gated {
  int capability;
  std::initializer_list<const char*> syscalls;
};
const Gated kAppGated[] = {
    {CAP_SYS_ADMIN,
     {"mount", "umount", "umount2", "pivot_root", "setns", "unshare",
      "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
      "mount_setattr", "sethostname", "setdomainname"}},
    {CAP_SYS_BOOT, {"reboot"}},
    {CAP_SYS_CHROOT, {"chroot"}},
    {CAP_SYS_NICE, {"get_mempolicy", "mbind", "set_mempolicy"}},
    {CAP_SYS_PTRACE, {"kcmp", "pidfd_getfd", "process_madvise"}},
    {CAP_SYS_TTY_CONFIG, {"vhangup"}},
};

constexpr uint64_t kNamespaceFlags[] = {
    CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
    CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP,
};

SeccompProfile BuildPodProfile() {
  SeccompProfile profile;
  for (const char* name : kPodDenied) profile.denied.push_back({name});
  // Audit is not namespaced; EAFNOSUPPORT is what libaudit's users take for "no
  // audit here".
  profile.denied.push_back({"socket",
                            EAFNOSUPPORT,
                            {{.index = 0, .value = AF_NETLINK},
                             {.index = 2, .value = NETLINK_AUDIT}}});
  return profile;
}

// New namespaces by clone(2); one rule a flag, as "any of these bits" cannot be
// said in one.
void DenyNamespacesByClone(SeccompProfile& profile) {
  for (uint64_t flag : kNamespaceFlags) {
    profile.denied.push_back(
        {"clone", EPERM, {{.index = 0, .mask = flag, .value = flag}}});
  }
  // Its flags are in memory, out of a filter's sight: with ENOSYS glibc falls
  // back to clone(2).
  profile.denied.push_back({"clone3", ENOSYS});
}

}  // namespace

const SeccompProfile& PodSeccompProfile() {
  static const SeccompProfile& profile = *new SeccompProfile(BuildPodProfile());
  return profile;
}

SeccompProfile AppSeccompProfile(uint64_t capabilities) {
  SeccompProfile profile = PodSeccompProfile();
  for (const char* name : kAppDenied) profile.denied.push_back({name});
  for (const Gated& gated : kAppGated) {
    if ((capabilities >> gated.capability & 1) != 0) continue;
    for (const char* name : gated.syscalls) profile.denied.push_back({name});
  }
  if ((capabilities >> CAP_SYS_ADMIN & 1) == 0) {
    DenyNamespacesByClone(profile);
  }
  // Reaches the hypervisor's host, past every network namespace.
  profile.denied.push_back(
      {"socket", EPERM, {{.index = 0, .value = AF_VSOCK}}});
  return profile;
}

}  // namespace davit
