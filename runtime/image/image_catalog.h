#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_CATALOG_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_CATALOG_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/image_record.h"
#include "runtime/image/image_store.h"
#include "runtime/image/layer_store.h"

namespace davit {

// The images of one store: what is on disk as records, who holds what, and what
// may be deleted. Shared by the store, its holds and its running imports.
// Thread-safe.
class ImageCatalog : public std::enable_shared_from_this<ImageCatalog> {
 public:
  // Keeps layers and blobs that an import uses before its record is there. On
  // its end, what no record took over is deleted: a failed import leaves
  // nothing.
  class Pins {
   public:
    explicit Pins(std::shared_ptr<ImageCatalog> catalog)
        : catalog_(std::move(catalog)) {}
    Pins(const Pins&) = delete;
    ~Pins() { catalog_->Unpin(digests_); }
    // Pin a layer *before* looking whether it is there.
    void Add(const std::string& digest);

   private:
    const std::shared_ptr<ImageCatalog> catalog_;
    std::vector<std::string> digests_;
  };

  // Makes the directories, reads the records, removes what belongs to none.
  // FailedPrecondition if another process has the store open.
  static absl::StatusOr<std::shared_ptr<ImageCatalog>> Open(
      const std::string& root);

  const LayerStore& layers() const { return layers_; }

  // Writes a configuration or manifest; returns its digest.
  absl::StatusOr<std::string> AddBlob(const std::string& data, Pins* pins);

  // Adds names to an image that is known and whole, so that there is nothing to
  // unpack; else NotFound. The names move from the images that had them.
  absl::StatusOr<Image> AddNames(const std::string& id,
                                 const std::vector<std::string>& names);

  // Writes the record, the last step of an import. If the image is known, its
  // names stay beside the new ones.
  absl::StatusOr<Image> Commit(ImageRecord record);

  // The rest is ImageStore's.
  absl::StatusOr<Image> Get(const std::string& reference);
  std::vector<Image> List();
  absl::StatusOr<std::unique_ptr<ImageHold>> Hold(const std::string& reference);
  absl::Status Remove(const std::string& reference);

 private:
  class HoldImpl;
  struct Found {
    std::string id;
    std::string name;  // empty if it was found by id
  };

  explicit ImageCatalog(const std::string& root) : root_(root), layers_(root) {}

  absl::Status MakeStore();
  absl::Status LoadRecords();
  absl::Status LoadRecord(const std::string& path);
  absl::Status RemoveOrphans();

  void Unpin(const std::vector<std::string>& digests);
  absl::StatusOr<Image> CommitLocked(ImageRecord record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Found> Find(const std::string& reference)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> FindById(const std::string& reference)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the record to disk, then to memory.
  absl::Status Save(ImageRecord record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeNamesFromOthers(const ImageRecord& owner)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveName(const Found& found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes those of `digests` that nobody needs out of the store. The caller
  // deletes the trees by dropping the result, best without the lock.
  std::vector<StagedTree> Collect(const std::vector<std::string>& digests)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsNeeded(const std::string& digest) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string RecordPath(const std::string& id) const;
  std::string BlobPath(const std::string& digest) const;

  const std::string root_;
  const LayerStore layers_;
  UniqueFd lock_;  // flock(2)ed as long as we live

  absl::Mutex mutex_;
  std::map<std::string, ImageRecord> records_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> holds_ ABSL_GUARDED_BY(mutex_);  // by image id
  std::map<std::string, int> pins_ ABSL_GUARDED_BY(mutex_);   // by digest
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_CATALOG_H_
