#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_CONFIG_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/image/image_store.h"

namespace davit {

// An OCI image configuration document (image-spec/config.md); Docker's is the
// same for what we read.
struct ImageDocument {
  ImageConfig config;
  std::vector<std::string> diff_ids;  // bottom first, checked digests
};

// InvalidArgument names the field.
absl::StatusOr<ImageDocument> ParseImageDocument(absl::string_view text);

// The same content gives the same bytes, and so the same image id.
std::string FormatImageDocument(const ImageDocument& document);

// GOARCH's name of this machine, "amd64".
std::string MachineArchitecture();

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_CONFIG_H_
