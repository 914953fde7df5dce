#include "runtime/boot/live_mount.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unescape_octal.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/rootfs/openat2.h"
#include "runtime/userns/file_owner.h"
#include "runtime/userns/id_mapped_mount.h"
#include "runtime/userns/user_namespace.h"

namespace davit {
namespace {

// Any directory will do: what is there is covered for one thread alone.
constexpr char kScratch[] = "/sys";
constexpr char kScratchName[] = "mount";

absl::StatusOr<struct statx> StatOf(int at, const std::string& name) {
  struct statx info = {};
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (name.empty()) flags |= AT_EMPTY_PATH;
  if (statx(at, name.c_str(), flags, STATX_TYPE | STATX_MNT_ID, &info) < 0) {
    return ErrnoError("statx(%s)", name);
  }
  return info;
}

// Runs `work` on a thread of its own, which may leave our namespaces.
absl::Status OnThread(const std::function<absl::Status()>& work) {
  absl::Status status;
  try {
    std::thread([&] {
      // Threads share root and working directory, which setns(2) changes.
      status = unshare(CLONE_FS) < 0 ? ErrnoError("unshare(CLONE_FS)") : work();
    }).join();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("std::thread: ", error.what()));
  }
  return status;
}

// Runs `work` in the pod's mount namespace, with its "/" as root.
absl::Status InPod(const ProcessIdentity& init,
                   const std::function<absl::Status()>& work) {
  ASSIGN_OR_RETURN(ProcessHandle process, ProcessHandle::Open(init));
  return OnThread([&]() -> absl::Status {
    if (setns(process.pidfd(), CLONE_NEWNS) < 0) {
      return ErrnoError("setns(%d, CLONE_NEWNS)", init.pid);
    }
    return work();
  });
}

absl::string_view NameOf(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// A directory of the pod and a name in it, which may not exist.
struct Place {
  UniqueFd parent;
  std::string name;
};

absl::StatusOr<UniqueFd> OpenDirectory(int root, const std::string& path) {
  UniqueFd fd = OpenBelow(root, path, O_PATH | O_DIRECTORY, Lookup::kInRoot);
  if (!fd) return ErrnoError("openat2(%s) in the pod", path);
  return fd;
}

// Makes the directories above the target that are missing.
absl::StatusOr<Place> MakePlace(const LiveMount& mount) {
  UniqueFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return ErrnoError("open(/)");
  ASSIGN_OR_RETURN(UniqueFd root, OpenDirectory(top.get(), mount.root));
  std::vector<std::string> parts =
      absl::StrSplit(mount.target, '/', absl::SkipEmpty());
  if (parts.empty()) {
    return absl::InvalidArgumentError("target: must not be the root");
  }
  Place place;
  place.name = std::move(parts.back());
  parts.pop_back();
  ASSIGN_OR_RETURN(place.parent, OpenDirectory(root.get(), "."));
  std::string path = ".";
  for (const std::string& part : parts) {
    if (mkdirat(place.parent.get(), part.c_str(), 0755) < 0 &&
        errno != EEXIST) {
      return ErrnoError("mkdir(%s) in the pod", part);
    }
    // From the root each time: a link among them begins there, too.
    absl::StrAppend(&path, "/", part);
    ASSIGN_OR_RETURN(place.parent, OpenDirectory(root.get(), path));
  }
  return place;
}

absl::Status MakeMountPoint(const Place& place, bool directory) {
  if (directory) {
    if (mkdirat(place.parent.get(), place.name.c_str(), 0755) == 0 ||
        errno == EEXIST) {
      return absl::OkStatus();
    }
    return ErrnoError("mkdir(%s) in the pod", place.name);
  }
  UniqueFd made(openat(place.parent.get(), place.name.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (made || errno == EEXIST) return absl::OkStatus();
  return ErrnoError("open(%s, O_CREAT) in the pod", place.name);
}

absl::StatusOr<UniqueFd> OpenMountPoint(const Place& place, bool directory) {
  UniqueFd point(openat(place.parent.get(), place.name.c_str(),
                        O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!point) return ErrnoError("open(%s, O_PATH) in the pod", place.name);
  ASSIGN_OR_RETURN(struct statx info, StatOf(point.get(), ""));
  if (S_ISLNK(info.stx_mode)) {
    return absl::FailedPreconditionError("target is a symbolic link");
  }
  if (S_ISDIR(info.stx_mode) == directory) return point;
  return absl::FailedPreconditionError(directory ? "target is no directory"
                                                 : "target is a directory");
}

absl::Status Attach(const PodUserns& userns, const LiveMount& mount, int tree,
                    bool directory) {
  if (!userns.path.empty()) {
    RETURN_IF_ERROR(CreateFilesAs(userns.base, userns.base));
  }
  ASSIGN_OR_RETURN(Place place, MakePlace(mount));
  RETURN_IF_ERROR(MakeMountPoint(place, directory));
  ASSIGN_OR_RETURN(UniqueFd point, OpenMountPoint(place, directory));
  return AttachMount(tree, point.get());
}

// In a mount namespace of ours, at a place that every system has.
absl::Status AttachAtScratch(const UniqueFd& tree, bool directory) {
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  if (mount("tmpfs", kScratch, "tmpfs", 0, "mode=755,size=4k") < 0) {
    return ErrnoError("mount(tmpfs, %s)", kScratch);
  }
  UniqueFd top(open(kScratch, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return ErrnoError("open(%s)", kScratch);
  Place place{std::move(top), kScratchName};
  RETURN_IF_ERROR(MakeMountPoint(place, directory));
  ASSIGN_OR_RETURN(UniqueFd point, OpenMountPoint(place, directory));
  return AttachMount(tree.get(), point.get());
}

// The same mount with flags that nobody in the pod can change: the kernel locks
// what it copies into the mount namespace of another user namespace.
absl::StatusOr<UniqueFd> LockFlags(const UniqueFd& tree, int userns) {
  ASSIGN_OR_RETURN(struct statx info, StatOf(tree.get(), ""));
  UniqueFd locked;
  RETURN_IF_ERROR(OnThread([&]() -> absl::Status {
    RETURN_IF_ERROR(AttachAtScratch(tree, S_ISDIR(info.stx_mode)));
    ASSIGN_OR_RETURN(UniqueFd mounts, CreateMountNsOwnedBy(userns));
    if (setns(mounts.get(), CLONE_NEWNS) < 0) {
      return ErrnoError("setns(CLONE_NEWNS)");
    }
    ASSIGN_OR_RETURN(
        locked, CloneMount(AT_FDCWD, absl::StrCat(kScratch, "/", kScratchName),
                           /*recursive=*/true));
    return absl::OkStatus();
  }));
  return locked;
}

// A copy of the source that is attached nowhere, as the pod shall see it.
absl::StatusOr<UniqueFd> CopySource(const PodUserns& userns,
                                    const LiveMount& mount) {
  ASSIGN_OR_RETURN(UniqueFd tree,
                   CloneMount(AT_FDCWD, mount.source, /*recursive=*/true));
  // Else the pod's mounts below it would come back to the host.
  RETURN_IF_ERROR(MakeMountPrivate(tree.get()));
  if (mount.read_only) {
    RETURN_IF_ERROR(SetMountAttributes(tree.get(), MOUNT_ATTR_RDONLY, true));
  }
  if (userns.path.empty()) return tree;
  UniqueFd fd(open(userns.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", userns.path);
  absl::Status mapped = MapMountIds(tree.get(), fd.get(), true);
  if (!mount.read_only) {
    RETURN_IF_ERROR(mapped);
    return tree;
  }
  // Unmapped its owner is nobody, who may look at what all may.
  if (!absl::IsFailedPrecondition(mapped)) RETURN_IF_ERROR(mapped);
  return LockFlags(tree, fd.get());
}

// Where the pod has the mount now, whatever it has renamed; empty: nowhere.
absl::StatusOr<std::string> PathOf(const ProcessIdentity& init,
                                   uint64_t mount_id) {
  ASSIGN_OR_RETURN(std::string table,
                   ReadFile(absl::StrCat("/proc/", init.pid, "/mountinfo")));
  for (absl::string_view line : absl::StrSplit(table, '\n')) {
    std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    uint64_t id;
    if (fields.size() < 5 || !absl::SimpleAtoi(fields[0], &id)) continue;
    if (id == mount_id) return UnescapeOctal(fields[4]);
  }
  return "";
}

absl::Status Detach(const std::string& path, uint64_t mount_id, bool force) {
  size_t slash = path.rfind('/');
  UniqueFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return ErrnoError("open(/)");
  Place place{OpenBelow(top.get(), absl::StrCat(".", path.substr(0, slash)),
                        O_PATH | O_DIRECTORY, Lookup::kNoSymlinks),
              path.substr(slash + 1)};
  if (!place.parent) return ErrnoError("openat2(%s) in the pod", path);
  ASSIGN_OR_RETURN(struct statx info, StatOf(place.parent.get(), place.name));
  if (info.stx_mnt_id != mount_id) {
    return absl::FailedPreconditionError(
        "the pod has mounted something else over it");
  }
  // By the name alone: a path could be changed under us.
  if (fchdir(place.parent.get()) < 0) return ErrnoError("fchdir");
  int flags = UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0);
  if (umount2(place.name.c_str(), flags) == 0) return absl::OkStatus();
  if (errno != EBUSY) return ErrnoError("umount2(%s)", path);
  return absl::FailedPreconditionError(
      "it is in use, or something is mounted below it");
}

}  // namespace

absl::Status MountLive(
    const ProcessIdentity& init, const PodUserns& userns,
    const LiveMount& mount,
    const std::function<absl::Status(uint64_t mount_id)>& record) {
  std::string what = absl::StrCat("mount ", mount.source);
  ASSIGN_OR_RETURN(UniqueFd tree, CopySource(userns, mount), what);
  ASSIGN_OR_RETURN(struct statx info, StatOf(tree.get(), ""), what);
  RETURN_IF_ERROR(record(info.stx_mnt_id), "record");
  return Annotate(InPod(init,
                        [&] {
                          return Attach(userns, mount, tree.get(),
                                        S_ISDIR(info.stx_mode));
                        }),
                  absl::StrCat(what, " at ", mount.target));
}

absl::Status UnmountLive(const ProcessIdentity& init, const LiveMount& mount,
                         uint64_t mount_id, bool force) {
  absl::StatusOr<std::string> path = PathOf(init, mount_id);
  // With its pod it has gone.
  if (absl::IsNotFound(path.status())) return absl::OkStatus();
  RETURN_IF_ERROR(path.status());
  // An id may be another mount's by now. A directory cannot be renamed while
  // something is mounted on it, only what is above.
  if (NameOf(*path) != NameOf(mount.target)) return absl::OkStatus();
  absl::Status status =
      InPod(init, [&] { return Detach(*path, mount_id, force); });
  if (absl::IsNotFound(status)) return absl::OkStatus();
  return Annotate(status, absl::StrCat("unmount ", mount.target));
}

}  // namespace davit
