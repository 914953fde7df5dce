#include "runtime/rootfs/idmapped_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/userns/file_owner.h"
#include "runtime/userns/id_mapped_mount.h"

namespace davit {
namespace {

// Below a tmpfs that only our thread sees: short names, so that hundreds of
// layers fit in the page that mount(2) takes.
constexpr char kUpper[] = "u";
constexpr char kMerged[] = "m";

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}
std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// A mount namespace of the thread's own, in it a tmpfs on `place` that becomes
// the working directory.
absl::Status EnterScratch(const std::string& place) {
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return ErrnoError("mount(/, MS_REC|MS_PRIVATE)");
  }
  if (mount("tmpfs", place.c_str(), "tmpfs", 0, "mode=755,size=1m") < 0) {
    return ErrnoError("mount(tmpfs, %s)", place);
  }
  if (chdir(place.c_str()) < 0) return ErrnoError("chdir(%s)", place);
  return absl::OkStatus();
}

// `source`, mapped, at `name` in the working directory.
absl::Status AttachMapped(const std::string& source, const std::string& name,
                          int userns) {
  UniqueFd tree(
      open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return ErrnoError("open_tree(%s, OPEN_TREE_CLONE)", source);
  RETURN_IF_ERROR(MapMountIds(tree.get(), userns, /*recursive=*/false), source);
  if (mkdir(name.c_str(), 0755) < 0) return ErrnoError("mkdir(%s)", name);
  if (move_mount(tree.get(), "", AT_FDCWD, name.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    return ErrnoError("move_mount(%s, %s)", source, name);
  }
  return absl::OkStatus();
}

absl::Status MountMerged(const IdmappedOverlay& overlay,
                         const std::string& lower) {
  std::string options = absl::StrCat(
      "lowerdir=", lower, ",upperdir=", kUpper, "/", NameOf(overlay.upper_dir),
      ",workdir=", kUpper, "/", NameOf(overlay.work_dir),
      overlay.no_sync ? ",volatile" : "");
  if (mkdir(kMerged, 0755) < 0) return ErrnoError("mkdir(%s)", kMerged);
  // The overlay acts on its layers as who mounted it: host root has no id in
  // the mapping and would get a file system that is silently read-only.
  RETURN_IF_ERROR(CreateFilesAs(overlay.userns.base, overlay.userns.base));
  if (mount("overlay", kMerged, "overlay", 0, options.c_str()) < 0) {
    return ErrnoError("mount(overlay, %s, \"%s\")", overlay.target, options);
  }
  struct statvfs info;
  if (statvfs(kMerged, &info) < 0) return ErrnoError("statvfs(overlay)");
  if ((info.f_flag & ST_RDONLY) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("overlay of ", overlay.upper_dir, " came out read-only"));
  }
  return absl::OkStatus();
}

// On a thread of its own. The overlay holds its layers, so it outlives the
// thread's mounts; what is returned is attached nowhere yet.
absl::StatusOr<UniqueFd> Build(const IdmappedOverlay& overlay, int userns) {
  RETURN_IF_ERROR(EnterScratch(overlay.target));
  std::vector<std::string> names;
  for (const std::string& layer : overlay.lower_dirs) {
    names.push_back(absl::StrCat(names.size()));
    RETURN_IF_ERROR(AttachMapped(layer, names.back(), userns));
  }
  // One mount for both, or overlayfs refuses them.
  RETURN_IF_ERROR(AttachMapped(ParentOf(overlay.upper_dir), kUpper, userns));
  RETURN_IF_ERROR(MountMerged(overlay, absl::StrJoin(names, ":")));
  UniqueFd merged(
      open_tree(AT_FDCWD, kMerged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!merged) return ErrnoError("open_tree(overlay, OPEN_TREE_CLONE)");
  return merged;
}

}  // namespace

absl::Status MountIdmappedOverlay(const IdmappedOverlay& overlay) {
  if (ParentOf(overlay.upper_dir) != ParentOf(overlay.work_dir)) {
    return absl::InvalidArgumentError(
        absl::StrCat("upper_dir ", overlay.upper_dir, " and work_dir ",
                     overlay.work_dir, " are not in one directory"));
  }
  UniqueFd userns(open(overlay.userns.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!userns) return ErrnoError("open(%s)", overlay.userns.path);
  absl::StatusOr<UniqueFd> merged = absl::InternalError("not built");
  std::thread([&] { merged = Build(overlay, userns.get()); }).join();
  RETURN_IF_ERROR(merged.status());
  if (move_mount(merged->get(), "", AT_FDCWD, overlay.target.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    return ErrnoError("move_mount(overlay, %s)", overlay.target);
  }
  return absl::OkStatus();
}

}  // namespace davit
