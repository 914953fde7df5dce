#include "runtime/rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/idmapped_overlay.h"

namespace davit {
namespace {

struct ContextDeleter {
  void operator()(libmnt_context* c) const { mnt_free_context(c); }
};
struct TableDeleter {
  void operator()(libmnt_table* t) const { mnt_unref_table(t); }
};
struct IteratorDeleter {
  void operator()(libmnt_iter* i) const { mnt_free_iter(i); }
};
struct FreeDeleter {
  void operator()(char* p) const { free(p); }
};

// mount(2) copies at most a page of options, with the closing NUL.
size_t OptionLimit() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)) - 1; }

absl::Status CheckOverlayPath(absl::string_view field,
                              const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " \"", path, "\" is not an absolute path"));
  }
  // The kernel splits options at ',' and lowerdir at ':', and '\' escapes.
  size_t bad = path.find_first_of(":,\\\"");
  if (bad != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " \"", path, "\" holds a '", path.substr(bad, 1),
                     "', which an overlay option cannot"));
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const OverlaySpec& spec) {
  if (spec.lower_dirs.empty()) {
    return absl::InvalidArgumentError("lower_dirs is empty");
  }
  for (const std::string& dir : spec.lower_dirs) {
    RETURN_IF_ERROR(CheckOverlayPath("lower_dirs", dir));
  }
  RETURN_IF_ERROR(CheckOverlayPath("upper_dir", spec.upper_dir));
  RETURN_IF_ERROR(CheckOverlayPath("work_dir", spec.work_dir));
  if (spec.target.empty() || spec.target[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("target \"", spec.target, "\" is not an absolute path"));
  }
  return absl::OkStatus();
}

// The merged root takes owner and mode from the upper directory, so a new one
// gets those of the topmost layer's root.
absl::Status MakeUpper(const OverlaySpec& spec) {
  if (PathExists(spec.upper_dir)) return absl::OkStatus();
  struct stat st;
  if (stat(spec.lower_dirs.front().c_str(), &st) < 0) {
    return ErrnoError("stat(%s)", spec.lower_dirs.front());
  }
  RETURN_IF_ERROR(MakeDirectories(spec.upper_dir));
  if (chown(spec.upper_dir.c_str(), st.st_uid, st.st_gid) < 0) {
    return ErrnoError("chown(%s)", spec.upper_dir);
  }
  if (chmod(spec.upper_dir.c_str(), st.st_mode & 07777) < 0) {
    return ErrnoError("chmod(%s)", spec.upper_dir);
  }
  return absl::OkStatus();
}

absl::Status CheckNotMounted(const std::string& target) {
  struct statx stx;
  if (statx(AT_FDCWD, target.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx) <
      0) {
    return ErrnoError("statx(%s)", target);
  }
  if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
    return absl::AlreadyExistsError(
        absl::StrCat("something is mounted on ", target));
  }
  return absl::OkStatus();
}

std::string Options(const OverlaySpec& spec,
                    const std::vector<std::string>& lower_dirs) {
  return absl::StrCat("lowerdir=", absl::StrJoin(lower_dirs, ":"),
                      ",upperdir=", spec.upper_dir, ",workdir=", spec.work_dir,
                      spec.no_sync ? ",volatile" : "");
}

absl::Status MountWithOptions(const std::string& target,
                              const std::string& options) {
  if (options.size() > OptionLimit()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("mount(overlay, ", target, "): options are ",
                     options.size(), " bytes, mount(2) takes ", OptionLimit()));
  }
  std::unique_ptr<libmnt_context, ContextDeleter> context(mnt_new_context());
  if (context == nullptr) return absl::ResourceExhaustedError("out of memory");
  mnt_context_disable_mtab(context.get(), 1);
  mnt_context_disable_helpers(context.get(), 1);
  mnt_context_disable_swapmatch(context.get(), 1);
  if (mnt_context_set_source(context.get(), "overlay") != 0 ||
      mnt_context_set_fstype(context.get(), "overlay") != 0 ||
      mnt_context_set_target(context.get(), target.c_str()) != 0 ||
      mnt_context_set_options(context.get(), options.c_str()) != 0) {
    return absl::ResourceExhaustedError("out of memory");
  }
  int rc = mnt_context_mount(context.get());
  if (rc == 0) return absl::OkStatus();
  int error = mnt_context_get_syscall_errno(context.get());
  if (error == 0) error = rc < 0 ? -rc : EINVAL;
  return ErrorNumber(error, "mount(overlay, %s, \"%s\")", target, options);
}

// Hundreds of layers do not fit in a page by their full names. If all stand in
// one directory, a thread with a working directory of its own mounts them by
// their relative ones.
absl::Status MountFromCommonDirectory(const OverlaySpec& spec) {
  const std::string& first = spec.lower_dirs.front();
  std::string common = first.substr(0, first.rfind('/') + 1);
  std::vector<std::string> relative;
  for (const std::string& dir : spec.lower_dirs) {
    absl::string_view name = dir;
    if (!absl::ConsumePrefix(&name, common) || absl::StrContains(name, '/')) {
      return MountWithOptions(spec.target, Options(spec, spec.lower_dirs));
    }
    relative.emplace_back(name);
  }
  absl::Status status;
  std::thread worker([&] {
    if (unshare(CLONE_FS) < 0) {
      status = ErrnoError("unshare(CLONE_FS)");
    } else if (chdir(common.c_str()) < 0) {
      status = ErrnoError("chdir(%s)", common);
    } else {
      status = MountWithOptions(spec.target, Options(spec, relative));
    }
  });
  worker.join();
  return status;
}

// mountinfo shows canonical paths; a directory that is gone is compared as
// written.
std::string Canonical(const std::string& path) {
  std::unique_ptr<char, FreeDeleter> real(realpath(path.c_str(), nullptr));
  std::string result = real != nullptr ? real.get() : path;
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

bool IsAtOrBelow(absl::string_view path, absl::string_view directory) {
  if (directory == "/") return true;
  return absl::ConsumePrefix(&path, directory) &&
         (path.empty() || path[0] == '/');
}

}  // namespace

absl::Status MountOverlay(const OverlaySpec& spec) {
  RETURN_IF_ERROR(CheckSpec(spec), "overlay");
  RETURN_IF_ERROR(MakeUpper(spec), "overlay");
  RETURN_IF_ERROR(MakeDirectories(spec.target), "overlay");
  RETURN_IF_ERROR(CheckNotMounted(spec.target), "overlay");
  if (spec.no_sync) RETURN_IF_ERROR(RemoveTree(spec.work_dir), "overlay");
  RETURN_IF_ERROR(MakeDirectories(spec.work_dir, 0700), "overlay");
  if (!spec.userns.path.empty()) {
    return MountIdmappedOverlay({spec.lower_dirs, spec.upper_dir, spec.work_dir,
                                 spec.target, spec.userns, spec.no_sync});
  }
  std::string options = Options(spec, spec.lower_dirs);
  if (options.size() > OptionLimit()) return MountFromCommonDirectory(spec);
  return MountWithOptions(spec.target, options);
}

absl::StatusOr<std::vector<std::string>> ListMountsBelow(
    const std::string& directory) {
  if (directory.empty() || directory[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("directory \"", directory, "\" is not an absolute path"));
  }
  std::string canonical = Canonical(directory);
  // Not /proc/self: a thread may be in a mount namespace of its own.
  constexpr char kMountInfo[] = "/proc/thread-self/mountinfo";
  std::unique_ptr<libmnt_table, TableDeleter> table(
      mnt_new_table_from_file(kMountInfo));
  std::unique_ptr<libmnt_iter, IteratorDeleter> iterator(
      mnt_new_iter(MNT_ITER_BACKWARD));
  if (table == nullptr || iterator == nullptr) {
    return ErrnoError("mnt_new_table_from_file(%s)", kMountInfo);
  }
  std::vector<std::string> mounts;
  libmnt_fs* fs = nullptr;
  while (mnt_table_next_fs(table.get(), iterator.get(), &fs) == 0) {
    const char* target = mnt_fs_get_target(fs);
    if (target != nullptr && IsAtOrBelow(target, canonical)) {
      mounts.emplace_back(target);
    }
  }
  auto depth = [](const std::string& path) {
    return std::count(path.begin(), path.end(), '/');
  };
  std::stable_sort(mounts.begin(), mounts.end(),
                   [&](const std::string& a, const std::string& b) {
                     return depth(a) > depth(b);
                   });
  return mounts;
}

absl::Status UnmountTree(const std::string& directory) {
  return UnmountTree(directory, [](const std::string& target) {
    return umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0 ||
           (errno == EBUSY &&
            umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0);
  });
}

absl::Status UnmountTree(
    const std::string& directory,
    const std::function<bool(const std::string& target)>& unmount) {
  ASSIGN_OR_RETURN(std::vector<std::string> mounts, ListMountsBelow(directory));
  if (Canonical(directory) == "/") {
    return absl::InvalidArgumentError("refusing to unmount all of \"/\"");
  }
  while (!mounts.empty()) {
    absl::Status failure;
    for (const std::string& target : mounts) {
      if (unmount(target)) continue;
      // EINVAL and ENOENT: another mount covers this one. The next round,
      // after that one has gone, sees it again.
      failure = ErrnoError("umount2(%s)", target);
    }
    size_t before = mounts.size();
    ASSIGN_OR_RETURN(mounts, ListMountsBelow(directory));
    if (mounts.size() >= before && !failure.ok()) return failure;
  }
  return absl::OkStatus();
}

}  // namespace davit
