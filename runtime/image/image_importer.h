#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_IMPORTER_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_IMPORTER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/image/image_catalog.h"
#include "runtime/image/image_store.h"

namespace davit {

// Does ImageStore::Import: looks at the source, unpacks what the store does not
// have, verifies, commits. Imports run in parallel on one catalog.
absl::StatusOr<std::vector<Image>> ImportImages(
    std::shared_ptr<ImageCatalog> catalog, const ImportRequest& request);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_IMPORTER_H_
