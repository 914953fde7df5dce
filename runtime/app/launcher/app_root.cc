#include "runtime/app/launcher/app_root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "runtime/app/launcher/mount_fd.h"
#include "runtime/app/launcher/mount_point.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

constexpr uint64_t kData =
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Hidden from apps, and what apps may read but not write: the lists of OCI's
// default spec.
constexpr const char* kMasked[] = {
    "/proc/acpi",       "/proc/asound",       "/proc/interrupts",
    "/proc/kcore",      "/proc/keys",         "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats",  "/proc/sched_debug",
    "/proc/scsi",       "/proc/sysrq-trigger"};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq",
                                     "/proc/sys"};

struct Device {
  const char* name;
  unsigned major, minor;
};
constexpr Device kDevices[] = {{"null", 1, 3},    {"zero", 1, 5},
                               {"full", 1, 7},    {"random", 1, 8},
                               {"urandom", 1, 9}, {"tty", 5, 0}};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {{"ptmx", "pts/ptmx"},
                           {"fd", "/proc/self/fd"},
                           {"stdin", "/proc/self/fd/0"},
                           {"stdout", "/proc/self/fd/1"},
                           {"stderr", "/proc/self/fd/2"}};

absl::Status LeaveSharedMounts() {
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) < 0) {
    return ErrnoError("mount(/, MS_SLAVE | MS_REC)");
  }
  return absl::OkStatus();
}

// The app's root as a mount of its own, which pivot_root(2) asks for.
absl::StatusOr<UniqueFd> OpenAppRoot(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd tree, CloneTree(AT_FDCWD, path, true));
  UniqueFd place(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place) return ErrnoError("open(%s, O_PATH)", path);
  RETURN_IF_ERROR(AttachMount(tree.get(), place.get(), path));
  return tree;
}

// Attaches `tree` to the directory `path` of the root.
absl::Status AttachAt(int root, const UniqueFd& tree, const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd place, OpenOrMakeDirectory(root, path));
  return AttachMount(tree.get(), place.get(), path);
}

absl::Status Mask(int root, const std::string& path) {
  UniqueFd place = OpenBelow(root, path, O_PATH, Lookup::kInRoot);
  if (!place) {
    if (errno == ENOENT) return absl::OkStatus();  // not in this kernel
    return ErrnoError("openat2(%s, O_PATH)", path);
  }
  struct stat info;
  if (fstat(place.get(), &info) < 0) return ErrnoError("fstat(%s)", path);
  absl::StatusOr<UniqueFd> cover =
      S_ISDIR(info.st_mode)
          ? NewFilesystem("tmpfs", {{"size", "0"}, {"nr_inodes", "1"}}, kData)
          : CloneTree(AT_FDCWD, "/dev/null", false);
  RETURN_IF_ERROR(cover.status());
  RETURN_IF_ERROR(AddMountAttributes(
      cover->get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
      false));
  return AttachMount(cover->get(), place.get(), path);
}

absl::Status MakeReadOnly(int root, const std::string& path) {
  UniqueFd place = OpenBelow(root, path, O_PATH, Lookup::kInRoot);
  if (!place) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError("openat2(%s, O_PATH)", path);
  }
  ASSIGN_OR_RETURN(UniqueFd tree, CloneTree(AT_FDCWD, path, true));
  RETURN_IF_ERROR(
      AddMountAttributes(tree.get(), kData | MOUNT_ATTR_RDONLY, true), path);
  return AttachMount(tree.get(), place.get(), path);
}

// The pod's /proc and not a new one: it carries the pod's own masks.
absl::Status MountProc(int root, bool privileged) {
  ASSIGN_OR_RETURN(UniqueFd proc, CloneTree(AT_FDCWD, "/proc", true));
  RETURN_IF_ERROR(AttachAt(root, proc, "/proc"));
  if (privileged) return absl::OkStatus();
  for (const char* path : kReadOnly) RETURN_IF_ERROR(MakeReadOnly(root, path));
  for (const char* path : kMasked) RETURN_IF_ERROR(Mask(root, path));
  return absl::OkStatus();
}

absl::Status MountSys(int root, bool privileged) {
  ASSIGN_OR_RETURN(UniqueFd sys, CloneTree(AT_FDCWD, "/sys", true));
  if (!privileged) {
    RETURN_IF_ERROR(AddMountAttributes(sys.get(), MOUNT_ATTR_RDONLY, true),
                    "/sys");
  }
  RETURN_IF_ERROR(AttachAt(root, sys, "/sys"));
  return privileged ? absl::OkStatus() : Mask(root, "/sys/firmware");
}

// In a user namespace nobody makes nodes: the pod's own is bound.
absl::Status BindDevice(int dev, const Device& device) {
  std::string path = absl::StrCat("/dev/", device.name);
  ASSIGN_OR_RETURN(UniqueFd node, CloneTree(AT_FDCWD, path, false));
  UniqueFd place(
      openat(dev, device.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!place) return ErrnoError("open(%s, O_CREAT)", path);
  return AttachMount(node.get(), place.get(), path);
}

absl::Status MakeDevice(int dev, const Device& device) {
  if (mknodat(dev, device.name, S_IFCHR | 0666,
              makedev(device.major, device.minor)) == 0) {
    return absl::OkStatus();
  }
  if (errno == EPERM) return BindDevice(dev, device);
  return ErrnoError("mknod(/dev/%s)", device.name);
}

absl::Status FillDev(int dev) {
  mode_t old_mask = umask(0);
  for (const Device& device : kDevices) {
    RETURN_IF_ERROR(MakeDevice(dev, device));
  }
  umask(old_mask);
  for (const Link& link : kLinks) {
    if (symlinkat(link.target, dev, link.name) < 0) {
      return ErrnoError("symlink(%s, /dev/%s)", link.target, link.name);
    }
  }
  return absl::OkStatus();
}

absl::Status MountDev(int root) {
  ASSIGN_OR_RETURN(UniqueFd dev,
                   NewFilesystem("tmpfs", {{"mode", "0755"}, {"size", "64m"}},
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  RETURN_IF_ERROR(AttachAt(root, dev, "/dev"));
  RETURN_IF_ERROR(FillDev(dev.get()));
  for (const char* path : {"/dev/pts", "/dev/shm"}) {
    ASSIGN_OR_RETURN(UniqueFd tree, CloneTree(AT_FDCWD, path, false));
    RETURN_IF_ERROR(AttachAt(root, tree, path));
  }
  ASSIGN_OR_RETURN(UniqueFd mqueue, NewFilesystem("mqueue", {}, kData));
  return AttachAt(root, mqueue, "/dev/mqueue");
}

// What the agent wrote for the pod: apps of one pod share one network.
absl::Status BindPodFiles(int root) {
  for (const char* path : {"/etc/resolv.conf", "/etc/hosts", "/etc/hostname"}) {
    absl::StatusOr<UniqueFd> tree = CloneTree(AT_FDCWD, path, false);
    if (absl::IsNotFound(tree.status())) continue;
    RETURN_IF_ERROR(tree.status());
    RETURN_IF_ERROR(
        AddMountAttributes(tree->get(), kData | MOUNT_ATTR_RDONLY, false),
        path);
    ASSIGN_OR_RETURN(UniqueFd place, OpenOrMakeFile(root, path));
    RETURN_IF_ERROR(AttachMount(tree->get(), place.get(), path));
  }
  return absl::OkStatus();
}

absl::Status PivotInto(int root) {
  if (fchdir(root) < 0) return ErrnoError("fchdir(app root)");
  // pivot_root(2), NOTES: "." twice stacks the old root on the new one.
  if (syscall(SYS_pivot_root, ".", ".") < 0) return ErrnoError("pivot_root");
  if (umount2(".", MNT_DETACH) < 0) return ErrnoError("umount2(old root)");
  if (chdir("/") < 0) return ErrnoError("chdir(/)");
  return absl::OkStatus();
}

}  // namespace

absl::Status EnterAppRoot(const AppSpec& app) {
  RETURN_IF_ERROR(LeaveSharedMounts());
  ASSIGN_OR_RETURN(UniqueFd root, OpenAppRoot(AppRootInPod(app.name)));
  RETURN_IF_ERROR(MountProc(root.get(), app.privileged), "mount /proc");
  RETURN_IF_ERROR(MountSys(root.get(), app.privileged), "mount /sys");
  RETURN_IF_ERROR(MountDev(root.get()), "mount /dev");
  RETURN_IF_ERROR(BindPodFiles(root.get()), "bind the pod's files");
  RETURN_IF_ERROR(OpenOrMakeDirectory(root.get(), app.working_dir).status(),
                  "working directory");
  if (app.read_only_root) {
    RETURN_IF_ERROR(AddMountAttributes(root.get(), MOUNT_ATTR_RDONLY, false),
                    "read-only root");
  }
  return PivotInto(root.get());
}

}  // namespace davit
