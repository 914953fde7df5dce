#include "runtime/image/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "runtime/image/digest.h"
#include "runtime/image/json_fields.h"
#include "runtime/image/tree_writer.h"

namespace davit {
namespace {

constexpr size_t kShortNameLength = 12;

std::string Hex(const std::string& digest) {
  return std::string(absl::StripPrefix(digest, "sha256:"));
}

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path);
  return fd;
}

std::string FormatInfo(const LayerInfo& info) {
  return DumpJson({{"version", 1},
                   {"sizeBytes", info.size_bytes},
                   {"implicitDirectories", info.implicit_directories}},
                  1);
}

}  // namespace

StagedTree::~StagedTree() {
  // What cannot be removed stays in tmp/ until the store is opened again.
  if (!directory_.empty()) RemoveTree(directory_).IgnoreError();
}

absl::StatusOr<UniqueFd> StagedTree::OpenTree() const {
  return OpenDirectory(tree());
}

absl::StatusOr<StagedTree> LayerStore::Stage() const {
  StagedTree staged(NewTemporary());
  if (mkdir(staged.directory_.c_str(), 0700) < 0) {
    return ErrnoError("mkdir(%s)", staged.directory_);
  }
  std::string tree = staged.tree();
  if (mkdir(tree.c_str(), 0755) < 0) return ErrnoError("mkdir(%s)", tree);
  // Whatever our umask is, this may become the root directory of a pod.
  if (chmod(tree.c_str(), 0755) < 0) return ErrnoError("chmod(%s)", tree);
  return staged;
}

absl::Status LayerStore::Commit(StagedTree staged, const std::string& diff_id,
                                const LayerInfo& info) const {
  RETURN_IF_ERROR(
      WriteFileAtomic(staged.directory_ + "/layer.json", FormatInfo(info)));
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(staged.directory_));
  // One syncfs(2) for what may be a hundred thousand files.
  if (syncfs(fd.get()) < 0) return ErrnoError("syncfs(%s)", staged.directory_);
  std::string path = LayerPath(diff_id);
  if (rename(staged.directory_.c_str(), path.c_str()) < 0) {
    if (errno == ENOTEMPTY || errno == EEXIST) return absl::OkStatus();
    return ErrnoError("rename(%s, %s)", staged.directory_, path);
  }
  staged.directory_.clear();
  ASSIGN_OR_RETURN(UniqueFd parent, OpenDirectory(root_ + "/layers"));
  if (fsync(parent.get()) < 0) return ErrnoError("fsync(%s/layers)", root_);
  return absl::OkStatus();
}

bool LayerStore::Contains(const std::string& diff_id) const {
  return PathExists(LayerPath(diff_id));
}

absl::StatusOr<LayerInfo> LayerStore::Info(const std::string& diff_id) const {
  std::string path = LayerPath(diff_id) + "/layer.json";
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  ASSIGN_OR_RETURN(nlohmann::json json, ParseJson(text, path));
  LayerInfo info;
  ASSIGN_OR_RETURN(info.size_bytes, UnsignedField(json, "sizeBytes", path));
  ASSIGN_OR_RETURN(info.implicit_directories,
                   StringListField(json, "implicitDirectories", path));
  return info;
}

absl::StatusOr<std::vector<std::string>> LayerStore::List() const {
  std::vector<std::string> diff_ids;
  std::error_code error;
  std::string directory = root_ + "/layers";
  for (std::filesystem::directory_iterator it(directory, error), end;
       !error && it != end; it.increment(error)) {
    std::string name = it->path().filename();
    if (IsSha256Hex(name)) diff_ids.push_back(absl::StrCat("sha256:", name));
  }
  if (error) return ErrorNumber(error.value(), "readdir(%s)", directory);
  return diff_ids;
}

absl::StatusOr<std::vector<std::string>> LayerStore::Visible(
    const std::vector<std::string>& top_first) const {
  std::vector<std::string> visible;
  for (const std::string& diff_id : top_first) {
    absl::StatusOr<UniqueFd> tree = OpenDirectory(TreePath(diff_id));
    if (absl::IsNotFound(tree.status())) {
      return absl::DataLossError(absl::StrCat("layer ", diff_id,
                                              " is missing; import the image "
                                              "again"));
    }
    RETURN_IF_ERROR(tree.status());
    visible.push_back(diff_id);
    if (IsOpaque(tree->get())) break;
  }
  return visible;
}

std::string LayerStore::TreePath(const std::string& diff_id) const {
  return LayerPath(diff_id) + "/rootfs";
}

absl::StatusOr<std::string> LayerStore::ShortPath(
    const std::string& diff_id) const {
  std::string hex = Hex(diff_id);
  std::string target = absl::StrCat("../layers/", hex, "/rootfs");
  // Longer names only for layers that share their first digits.
  for (size_t length = kShortNameLength; length <= hex.size(); ++length) {
    std::string path = absl::StrCat(root_, "/l/", hex.substr(0, length));
    if (symlink(target.c_str(), path.c_str()) == 0) return path;
    if (errno != EEXIST) return ErrnoError("symlink(%s, %s)", target, path);
    if (ReadLink(path).value_or("") == target) return path;
  }
  return absl::InternalError(
      absl::StrCat("no short name is left for layer ", diff_id));
}

absl::StatusOr<StagedTree> LayerStore::Discard(
    const std::string& diff_id) const {
  StagedTree discarded(NewTemporary());
  std::string path = LayerPath(diff_id);
  if (rename(path.c_str(), discarded.directory_.c_str()) < 0) {
    return ErrnoError("rename(%s, %s)", path, discarded.directory_);
  }
  std::string hex = Hex(diff_id);
  std::string target = absl::StrCat("../layers/", hex, "/rootfs");
  for (size_t length = kShortNameLength; length <= hex.size(); ++length) {
    std::string link = absl::StrCat(root_, "/l/", hex.substr(0, length));
    std::string points_to = ReadLink(link).value_or("");
    if (points_to.empty()) break;
    if (points_to != target) continue;
    RETURN_IF_ERROR(RemoveFile(link));
    break;
  }
  return discarded;
}

std::string LayerStore::LayerPath(const std::string& diff_id) const {
  return absl::StrCat(root_, "/layers/", Hex(diff_id));
}

std::string LayerStore::NewTemporary() const {
  return absl::StrCat(root_, "/tmp/", NewUuid());
}

}  // namespace davit
