#ifndef DAVIT_RUNTIME_IMAGE_UNPACK_FOR_TEST_H_
#define DAVIT_RUNTIME_IMAGE_UNPACK_FOR_TEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/image/archive_stream.h"
#include "runtime/image/layer_unpacker.h"
#include "runtime/image/read_progress.h"

namespace davit::testing {

struct Unpacked {
  UnpackedTree tree;
  StreamDigests digests;
};

// Unpacks a tar that is in memory into `directory`, which is made if absent.
absl::StatusOr<Unpacked> UnpackForTest(const std::string& tar,
                                       const std::string& directory,
                                       const UnpackLimits& limits = {},
                                       ReadProgress* progress = nullptr);

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_IMAGE_UNPACK_FOR_TEST_H_
