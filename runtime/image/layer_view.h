#ifndef DAVIT_RUNTIME_IMAGE_LAYER_VIEW_H_
#define DAVIT_RUNTIME_IMAGE_LAYER_VIEW_H_

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What an overlay of some layers would show, without mounting it. For looking
// up a few paths. Thread-safe.
class LayerView {
 public:
  // Where a path comes from.
  struct Source {
    size_t layer = 0;  // index into the layers, 0 is the topmost
    struct stat st = {};
  };

  // `trees`: directories of layers, topmost first.
  static absl::StatusOr<LayerView> Open(const std::vector<std::string>& trees);

  // The layers that make up `path` ("etc/passwd", "" is the root; symlinks in
  // it are not followed), topmost first: one for a file, each that is merged
  // for a directory, none if it is absent or whited out.
  absl::StatusOr<std::vector<Source>> Find(const std::string& path) const;

  // What a process with this root would find at an absolute path. NotFound;
  // FailedPrecondition for a loop of symlinks.
  absl::StatusOr<Source> Resolve(const std::string& path) const;

  // Opens a directory of one layer for reading.
  absl::StatusOr<UniqueFd> OpenDirectory(size_t layer,
                                         const std::string& path) const;

 private:
  explicit LayerView(std::vector<UniqueFd> layers)
      : layers_(std::move(layers)) {}
  absl::StatusOr<std::string> ReadLink(size_t layer,
                                       const std::string& path) const;
  absl::StatusOr<std::vector<Source>> Descend(
      const std::vector<Source>& parents, const std::string& path) const;

  std::vector<UniqueFd> layers_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_LAYER_VIEW_H_
