#ifndef DAVIT_RUNTIME_IMAGE_LAYER_UNPACKER_H_
#define DAVIT_RUNTIME_IMAGE_LAYER_UNPACKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/archive_stream.h"

namespace davit {

// What one archive may grow to; beyond is ResourceExhausted. No real layer
// comes near it, a "zip bomb" does.
struct UnpackLimits {
  uint64_t max_entries = 1'000'000;
  uint64_t max_bytes = uint64_t{64} << 30;  // of the tar, and of its files
  size_t max_depth = 256;                   // directories above an entry
};

struct UnpackedTree {
  uint64_t size_bytes = 0;  // of regular files
  uint64_t entries = 0;
  // Directories that the tar did not describe, as TreeWriter tells them.
  std::vector<std::string> implicit_directories;
};

// Unpacks all of `tar` into the empty directory `root` (image-spec/layer.md;
// POSIX pax): ".wh." names become overlayfs's whiteouts. Names that begin with
// "/" are taken below `root`, ".." is InvalidArgument. Errors begin with `entry
// "name": `.
absl::StatusOr<UnpackedTree> UnpackTar(TarStream& tar, UniqueFd root,
                                       const UnpackLimits& limits);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_LAYER_UNPACKER_H_
