#ifndef DAVIT_RUNTIME_IMAGE_OCI_LAYOUT_H_
#define DAVIT_RUNTIME_IMAGE_OCI_LAYOUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/image/image_content.h"

namespace davit {

// True if the directory has oci-layout and index.json.
bool IsOciLayout(int layout_fd);

// The images of an OCI image layout (image-spec/image-layout.md,
// image-index.md, manifest.md), Docker's media types included. Of several
// platforms the one of Linux on this machine's architecture is taken, else the
// only one. Manifests and configurations are verified; layers are left to
// whoever reads them.
//
// A name is the annotation io.containerd.image.name, else
// org.opencontainers.image.ref.name; a ref.name that is a bare word is a tag,
// as umoci and buildah write it: then `base_name` goes in front.
absl::StatusOr<std::vector<ImageContent>> ReadOciLayout(
    int layout_fd, const std::string& base_name);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_OCI_LAYOUT_H_
