#include "agent/pod/real_rootfs_ops.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/deferred_unmounts.h"
#include "runtime/userns/file_owner.h"

namespace davit {
namespace {

absl::Status MakeDirectoriesBelow(const std::string& root,
                                  const std::string& path) {
  UniqueFd dir(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return ErrnoError("open(%s, O_DIRECTORY)", root);
  std::string reached = root;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    std::string name(part);
    absl::StrAppend(&reached, "/", name);
    if (mkdirat(dir.get(), name.c_str(), 0755) < 0 && errno != EEXIST) {
      return ErrnoError("mkdir(%s)", reached);
    }
    UniqueFd next(openat(dir.get(), name.c_str(),
                         O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && (errno == ENOTDIR || errno == ELOOP)) {
      return absl::FailedPreconditionError(
          absl::StrCat(reached, " is not a directory"));
    }
    if (!next) return ErrnoError("open(%s, O_DIRECTORY)", reached);
    dir = std::move(next);
  }
  return absl::OkStatus();
}

class RealRootfsOps : public RootfsOps {
 public:
  absl::Status MountOverlay(const OverlaySpec& spec) override {
    unmounts_.Await(spec.target);
    return davit::MountOverlay(spec);
  }

  absl::Status UnmountTree(const std::string& directory) override {
    return unmounts_.UnmountTree(directory);
  }

  absl::StatusOr<std::vector<std::string>> ListMountsBelow(
      const std::string& directory) override {
    return davit::ListMountsBelow(directory);
  }

  absl::Status MakeMountPoint(const std::string& root, const std::string& path,
                              const PodUserns& userns) override;

  absl::StatusOr<std::string> ResolveCommand(
      const std::string& root, const std::string& command,
      const std::string& path_variable,
      const std::string& working_dir) override {
    return davit::ResolveCommand(root, command, path_variable, working_dir);
  }

  absl::StatusOr<ResolvedUser> ResolveUser(const std::string& root,
                                           const std::string& user) override {
    return davit::ResolveUser(root, user);
  }

 private:
  DeferredUnmounts unmounts_;
};

absl::Status RealRootfsOps::MakeMountPoint(const std::string& root,
                                           const std::string& path,
                                           const PodUserns& userns) {
  if (userns.path.empty()) return MakeDirectoriesBelow(root, path);
  // Whom files belong to is a thread's: one of its own, which takes it along.
  absl::Status status;
  try {
    std::thread([&] {
      status = CreateFilesAs(userns.base, userns.base);
      if (status.ok()) status = MakeDirectoriesBelow(root, path);
    }).join();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("std::thread: ", error.what()));
  }
  return status;
}

}  // namespace

std::unique_ptr<RootfsOps> NewRealRootfsOps() {
  return std::make_unique<RealRootfsOps>();
}

}  // namespace davit
