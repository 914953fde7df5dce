#ifndef DAVIT_RUNTIME_IMAGE_LAYER_STORE_H_
#define DAVIT_RUNTIME_IMAGE_LAYER_STORE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A directory under <root>/tmp in which a tree grows; removed with its owner.
class StagedTree {
 public:
  StagedTree(StagedTree&& other) noexcept
      : directory_(std::exchange(other.directory_, "")) {}
  StagedTree& operator=(StagedTree&&) = delete;
  ~StagedTree();

  std::string tree() const { return directory_ + "/rootfs"; }
  absl::StatusOr<UniqueFd> OpenTree() const;

 private:
  friend class LayerStore;
  explicit StagedTree(std::string directory)
      : directory_(std::move(directory)) {}
  std::string directory_;
};

// What is known of a layer beside its files.
struct LayerInfo {
  uint64_t size_bytes = 0;  // of its regular files
  // Directories whose owner and mode are a guess: see parent_directories.h.
  std::vector<std::string> implicit_directories;
};

// The unpacked layers of an image store, by diff id:
//
//   <root>/layers/<hex>/rootfs/     the tree
//   <root>/layers/<hex>/layer.json  LayerInfo
//   <root>/l/<short>                → ../layers/<hex>/rootfs
//   <root>/tmp/                     staged and discarded trees
//
// A layer is in layers/ whole or not at all: its tree is synced, then renamed.
// Thread-safe; diff ids must be valid digests.
class LayerStore {
 public:
  explicit LayerStore(std::string root) : root_(std::move(root)) {}

  absl::StatusOr<StagedTree> Stage() const;

  // Makes the staged tree the layer. If another import was first, its layer
  // stays and this one is dropped.
  absl::Status Commit(StagedTree staged, const std::string& diff_id,
                      const LayerInfo& info) const;

  bool Contains(const std::string& diff_id) const;
  absl::StatusOr<LayerInfo> Info(const std::string& diff_id) const;
  // Diff ids of all layers, in no order.
  absl::StatusOr<std::vector<std::string>> List() const;

  // Those of the layers, given topmost first, that can be seen: a layer whose
  // root is opaque hides all below it, but overlayfs does not look at that
  // mark on a layer's root. DataLoss names a layer that is missing.
  absl::StatusOr<std::vector<std::string>> Visible(
      const std::vector<std::string>& top_first) const;

  std::string TreePath(const std::string& diff_id) const;
  // The same tree by a short name, made if it is not there: the options of an
  // overlay mount must fit in a page.
  absl::StatusOr<std::string> ShortPath(const std::string& diff_id) const;

  // Takes the layer out of layers/ at once; the result is deleted with its
  // owner. NotFound if it is not there.
  absl::StatusOr<StagedTree> Discard(const std::string& diff_id) const;

 private:
  std::string LayerPath(const std::string& diff_id) const;
  std::string NewTemporary() const;

  const std::string root_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_LAYER_STORE_H_
