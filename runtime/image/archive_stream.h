#ifndef DAVIT_RUNTIME_IMAGE_ARCHIVE_STREAM_H_
#define DAVIT_RUNTIME_IMAGE_ARCHIVE_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/read_progress.h"

struct archive_entry;

namespace davit {

struct StreamDigests {
  std::string blob;  // of the bytes as stored (compressed or not)
  uint64_t blob_size = 0;
  std::string diff_id;  // of the tar inside
};

// Reads a tar, plain or compressed by gzip, xz, zstd or bzip2, entry by entry
// (libarchive(3)) and hashes it on both sides of the decompression:
//
//   file → sha256 → decompress → sha256 → tar entries
//
// Broken compression and truncation are DataLoss, what is no tar is
// InvalidArgument. One thread at a time.
class TarStream {
 public:
  // `max_bytes` bounds the decompressed stream (ResourceExhausted beyond).
  // `progress` hears of the bytes read from `fd`; may be null.
  static absl::StatusOr<std::unique_ptr<TarStream>> Open(
      UniqueFd fd, uint64_t max_bytes, ReadProgress* progress);

  virtual ~TarStream() = default;

  // The next entry, valid until the next call; null at the end.
  virtual absl::StatusOr<archive_entry*> Next() = 0;

  // Writes the contents of the current entry to `fd`, an empty file; holes stay
  // holes. The file then has exactly `size` bytes.
  virtual absl::Status CopyData(int fd, uint64_t size) = 0;

  // Call after the end: reads what follows the last entry, too, because both
  // digests include it.
  virtual absl::StatusOr<StreamDigests> Finish() = 0;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_ARCHIVE_STREAM_H_
