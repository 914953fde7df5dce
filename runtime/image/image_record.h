#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_RECORD_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/image/image_store.h"

namespace davit {

// What <root>/images/<id hex>.json holds: the image, and what the store needs
// beside it.
struct ImageRecord {
  Image image;
  // The layer on top of all that repairs guessed directories; mostly empty. See
  // parent_directories.h.
  std::string parents_layer;
  std::string manifest;  // digest of its blob; empty if there was none
  // When the record was written, Unix nanoseconds: of two records that claim a
  // name after a crash, the younger has it.
  int64_t written_at = 0;

  // All layers and blobs that it needs.
  std::vector<std::string> Digests() const;
  // Layers as overlay wants them: topmost first and each only once (the kernel
  // refuses a repeated layer with ELOOP; only its topmost place matters).
  std::vector<std::string> LayersTopFirst() const;
};

std::string FormatImageRecord(const ImageRecord& record);

// DataLoss if it makes no sense, FailedPrecondition if a later version wrote
// it.
absl::StatusOr<ImageRecord> ParseImageRecord(absl::string_view text);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_RECORD_H_
