#include "runtime/image/image_store.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/status_macros.h"
#include "runtime/image/image_catalog.h"
#include "runtime/image/image_importer.h"

namespace davit {
namespace {

class DiskImageStore : public ImageStore {
 public:
  explicit DiskImageStore(std::shared_ptr<ImageCatalog> catalog)
      : catalog_(std::move(catalog)) {}

  absl::StatusOr<std::vector<Image>> Import(
      const ImportRequest& request) override {
    return ImportImages(catalog_, request);
  }
  absl::StatusOr<Image> Get(const std::string& reference) override {
    return catalog_->Get(reference);
  }
  std::vector<Image> List() override { return catalog_->List(); }
  absl::StatusOr<std::unique_ptr<ImageHold>> Hold(
      const std::string& reference) override {
    return catalog_->Hold(reference);
  }
  absl::Status Remove(const std::string& reference) override {
    return catalog_->Remove(reference);
  }

 private:
  // Holds share it, so they may outlive the store.
  const std::shared_ptr<ImageCatalog> catalog_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(
    const std::string& root) {
  ASSIGN_OR_RETURN(std::shared_ptr<ImageCatalog> catalog,
                   ImageCatalog::Open(root));
  return std::make_unique<DiskImageStore>(std::move(catalog));
}

}  // namespace davit
