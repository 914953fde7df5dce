#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_CONTENT_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_CONTENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// An image as a layout or archive holds it, before it is in a store.
struct LayerBlob {
  std::string path;         // in the layout's directory
  std::string diff_id;      // what its tar must hash to
  std::string blob_digest;  // what the file must hash to; empty if unknown
};

struct ImageContent {
  // References as the archive writes them, not normalised.
  std::vector<std::string> names;
  std::string config;             // JSON
  std::string manifest;           // JSON; empty if there is none
  std::vector<LayerBlob> layers;  // bottom first
};

// Opens a file of a layout that strangers wrote: symlinks may point to other
// files of it (old docker archives do that), never outside. InvalidArgument if
// it is no regular file, NotFound if it is absent.
absl::StatusOr<UniqueFd> OpenContent(int layout_fd, const std::string& path);

// Reads a small file of a layout, at most 8 MiB.
absl::StatusOr<std::string> ReadContent(int layout_fd, const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_CONTENT_H_
