#ifndef DAVIT_RUNTIME_IMAGE_FAKE_IMAGE_STORE_H_
#define DAVIT_RUNTIME_IMAGE_FAKE_IMAGE_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/image/image_store.h"

namespace davit {

// An image store in memory, for tests of what uses one. Behaves as the real
// one (image_store_conformance.h runs on both) but reads no file: an import
// makes an image whose id depends on nothing but the path, named by the request
// or else by the file's base name up to its first dot. Holds must end before
// the store. Thread-safe.
//
//   FakeImageStore images;
//   images.Add("nginx", config);
//   images.FailNextImport(absl::DataLossError("layer is broken"));
class FakeImageStore : public ImageStore {
 public:
  // Adds an image as if it had been imported from "/<name>"; returns it.
  Image Add(const std::string& name, ImageConfig config = {},
            bool bootable = false, std::vector<std::string> lower_dirs = {});

  // The next Import, or Hold, returns `status`.
  void FailNextImport(absl::Status status);
  void FailNextHold(absl::Status status);

  int hold_count(const std::string& reference);

  absl::StatusOr<std::vector<Image>> Import(
      const ImportRequest& request) override;
  absl::StatusOr<Image> Get(const std::string& reference) override;
  std::vector<Image> List() override;
  absl::StatusOr<std::unique_ptr<ImageHold>> Hold(
      const std::string& reference) override;
  absl::Status Remove(const std::string& reference) override;

 private:
  class FakeHold;
  struct Entry {
    Image image;
    std::vector<std::string> lower_dirs;
    int holds = 0;
  };
  struct Found {
    Entry* entry;
    std::string name;  // empty if it was found by id
  };

  Image AddLocked(const std::string& path, const std::string& name,
                  ImageConfig config, bool bootable,
                  std::vector<std::string> lower_dirs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Found> Find(const std::string& reference)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by id
  absl::Status next_import_ ABSL_GUARDED_BY(mutex_);
  absl::Status next_hold_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_FAKE_IMAGE_STORE_H_
