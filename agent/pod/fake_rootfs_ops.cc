#include "agent/pod/fake_rootfs_ops.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace davit {
namespace {

bool IsAtOrBelow(const std::string& path, const std::string& directory) {
  return path == directory ||
         absl::StartsWith(path, absl::StrCat(directory, "/"));
}

}  // namespace

absl::Status FakeRootfsOps::MountOverlay(const OverlaySpec& spec) {
  absl::MutexLock lock(&mutex_);
  for (const OverlaySpec& mount : mounts_) {
    if (mount.target == spec.target) {
      return absl::AlreadyExistsError(
          absl::StrCat("something is mounted on ", spec.target));
    }
  }
  mounts_.push_back(spec);
  return absl::OkStatus();
}

absl::Status FakeRootfsOps::UnmountTree(const std::string& directory) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(mounts_, [&](const OverlaySpec& mount) {
    return IsAtOrBelow(mount.target, directory);
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakeRootfsOps::ListMountsBelow(
    const std::string& directory) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> targets;
  for (const OverlaySpec& mount : mounts_) {
    if (IsAtOrBelow(mount.target, directory)) targets.push_back(mount.target);
  }
  std::sort(targets.begin(), targets.end(),
            [](const std::string& a, const std::string& b) {
              return a.size() > b.size();
            });
  return targets;
}

absl::Status FakeRootfsOps::MakeMountPoint(const std::string& root,
                                           const std::string&,
                                           const PodUserns&) {
  absl::MutexLock lock(&mutex_);
  for (const OverlaySpec& mount : mounts_) {
    if (mount.target == root) return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat(root, " is not mounted"));
}

absl::StatusOr<std::string> FakeRootfsOps::ResolveCommand(
    const std::string&, const std::string& command, const std::string&,
    const std::string& working_dir) {
  absl::MutexLock lock(&mutex_);
  if (missing_.count(command) > 0) {
    return absl::NotFoundError(
        absl::StrCat("command \"", command, "\" not found in $PATH"));
  }
  if (absl::StartsWith(command, "/")) return command;
  if (absl::StrContains(command, "/")) {
    return absl::StrCat(working_dir, "/", command);
  }
  return absl::StrCat("/bin/", command);
}

absl::StatusOr<ResolvedUser> FakeRootfsOps::ResolveUser(
    const std::string&, const std::string& user) {
  absl::MutexLock lock(&mutex_);
  if (auto it = users_.find(user); it != users_.end()) return it->second;
  std::vector<std::string> ids = absl::StrSplit(user, ':');
  ResolvedUser resolved;
  if (!user.empty() && !absl::SimpleAtoi(ids[0], &resolved.uid)) {
    return absl::NotFoundError(absl::StrCat("user \"", ids[0], "\" not found"));
  }
  if (ids.size() > 1 && !absl::SimpleAtoi(ids[1], &resolved.gid)) {
    return absl::NotFoundError(
        absl::StrCat("group \"", ids[1], "\" not found"));
  }
  if (resolved.uid == 0) resolved.home = "/root";
  return resolved;
}

void FakeRootfsOps::AddUser(const std::string& name, const ResolvedUser& user) {
  absl::MutexLock lock(&mutex_);
  users_[name] = user;
}

void FakeRootfsOps::RemoveCommand(const std::string& command) {
  absl::MutexLock lock(&mutex_);
  missing_.insert(command);
}

std::vector<OverlaySpec> FakeRootfsOps::mounts() const {
  absl::MutexLock lock(&mutex_);
  return mounts_;
}

}  // namespace davit
