#include "runtime/image/image_catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/temporaries.h"
#include "runtime/image/digest.h"

namespace davit {
namespace {

constexpr size_t kMinIdPrefix = 4;

absl::StatusOr<std::vector<std::string>> ListNames(
    const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end;
       !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error) return ErrorNumber(error.value(), "readdir(%s)", directory);
  return names;
}

absl::Status SyncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) < 0) return ErrnoError("fsync(%s)", path);
  return absl::OkStatus();
}

template <typename T>
bool Contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

class ImageCatalog::HoldImpl : public ImageHold {
 public:
  HoldImpl(std::shared_ptr<ImageCatalog> catalog, Image image,
           std::vector<std::string> lower_dirs)
      : catalog_(std::move(catalog)),
        image_(std::move(image)),
        lower_dirs_(std::move(lower_dirs)) {}
  ~HoldImpl() override {
    absl::MutexLock lock(&catalog_->mutex_);
    if (--catalog_->holds_[image_.id] == 0) catalog_->holds_.erase(image_.id);
  }
  const Image& image() const override { return image_; }
  const std::vector<std::string>& lower_dirs() const override {
    return lower_dirs_;
  }

 private:
  const std::shared_ptr<ImageCatalog> catalog_;
  const Image image_;
  const std::vector<std::string> lower_dirs_;
};

void ImageCatalog::Pins::Add(const std::string& digest) {
  absl::MutexLock lock(&catalog_->mutex_);
  ++catalog_->pins_[digest];
  digests_.push_back(digest);
}

absl::StatusOr<std::shared_ptr<ImageCatalog>> ImageCatalog::Open(
    const std::string& root) {
  if (root.empty() || root[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("image store \"", root, "\" is not an absolute path"));
  }
  std::shared_ptr<ImageCatalog> catalog(new ImageCatalog(root));
  std::string phrase = absl::StrCat("image store ", root);
  RETURN_IF_ERROR(catalog->MakeStore(), phrase);
  RETURN_IF_ERROR(catalog->LoadRecords(), phrase);
  RETURN_IF_ERROR(catalog->RemoveOrphans(), phrase);
  return catalog;
}

absl::Status ImageCatalog::MakeStore() {
  // 0700: layers hold set-uid programs that are no business of the machine's
  // users.
  RETURN_IF_ERROR(MakeDirectories(root_, 0700));
  std::string lock_path = root_ + "/lock";
  lock_.Reset(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) return ErrnoError("open(%s)", lock_path);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("flock(%s)", lock_path);
    return absl::FailedPreconditionError("it is already open");
  }
  RETURN_IF_ERROR(RemoveTree(root_ + "/tmp"));
  for (absl::string_view name :
       {"blobs/sha256", "layers", "l", "images", "tmp"}) {
    RETURN_IF_ERROR(MakeDirectories(absl::StrCat(root_, "/", name), 0700));
  }
  return absl::OkStatus();
}

absl::Status ImageCatalog::LoadRecords() {
  std::string directory = root_ + "/images";
  RETURN_IF_ERROR(RemoveTemporaries(directory));
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListNames(directory));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".json")) continue;
    // Going on without it would delete its layers.
    std::string path = absl::StrCat(directory, "/", name);
    RETURN_IF_ERROR(LoadRecord(path), path);
  }
  // A crash between the two writes of a name's move left it in both.
  absl::MutexLock lock(&mutex_);
  std::vector<ImageRecord> by_age;  // the youngest first
  for (const auto& [id, record] : records_) by_age.push_back(record);
  std::sort(by_age.begin(), by_age.end(),
            [](const ImageRecord& a, const ImageRecord& b) {
              return a.written_at > b.written_at;
            });
  for (const ImageRecord& record : by_age) {
    RETURN_IF_ERROR(TakeNamesFromOthers(records_[record.image.id]));
  }
  return absl::OkStatus();
}

absl::Status ImageCatalog::LoadRecord(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  ASSIGN_OR_RETURN(ImageRecord record, ParseImageRecord(text));
  if (path != RecordPath(record.image.id)) {
    return absl::DataLossError(
        absl::StrCat("it holds the record of ", record.image.id));
  }
  absl::MutexLock lock(&mutex_);
  std::string id = record.image.id;
  records_.emplace(std::move(id), std::move(record));
  return absl::OkStatus();
}

absl::Status ImageCatalog::RemoveOrphans() {
  ASSIGN_OR_RETURN(std::vector<std::string> digests, layers_.List());
  ASSIGN_OR_RETURN(std::vector<std::string> blobs,
                   ListNames(root_ + "/blobs/sha256"));
  for (const std::string& name : blobs) {
    if (IsSha256Hex(name)) {
      digests.push_back(absl::StrCat("sha256:", name));
    } else {
      RETURN_IF_ERROR(RemoveFile(absl::StrCat(root_, "/blobs/sha256/", name)));
    }
  }
  std::vector<StagedTree> discarded;
  {
    absl::MutexLock lock(&mutex_);
    discarded = Collect(digests);
  }
  ASSIGN_OR_RETURN(std::vector<std::string> links, ListNames(root_ + "/l"));
  for (const std::string& name : links) {
    std::string path = absl::StrCat(root_, "/l/", name);
    if (!PathExists(path)) RETURN_IF_ERROR(RemoveFile(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ImageCatalog::AddBlob(const std::string& data,
                                                  Pins* pins) {
  std::string digest = Sha256Digest(data);
  pins->Add(digest);
  std::string path = BlobPath(digest);
  if (!PathExists(path)) RETURN_IF_ERROR(WriteFileAtomic(path, data));
  return digest;
}

absl::StatusOr<Image> ImageCatalog::AddNames(
    const std::string& id, const std::vector<std::string>& names) {
  absl::MutexLock lock(&mutex_);
  auto known = records_.find(id);
  if (known == records_.end()) {
    return absl::NotFoundError(absl::StrCat("image ", id, " not found"));
  }
  ImageRecord record = known->second;
  for (const std::string& layer : record.LayersTopFirst()) {
    if (!layers_.Contains(layer)) {
      return absl::NotFoundError(absl::StrCat("layer ", layer, " not found"));
    }
  }
  record.image.names = names;
  return CommitLocked(std::move(record));
}

absl::StatusOr<Image> ImageCatalog::Commit(ImageRecord record) {
  absl::MutexLock lock(&mutex_);
  return CommitLocked(std::move(record));
}

absl::StatusOr<Image> ImageCatalog::CommitLocked(ImageRecord record) {
  std::string id = record.image.id;
  if (auto known = records_.find(id); known != records_.end()) {
    const Image& image = known->second.image;
    record.image.imported_at = image.imported_at;
    std::vector<std::string> names = image.names;
    for (std::string& name : record.image.names) {
      if (!Contains(names, name)) names.push_back(std::move(name));
    }
    record.image.names = std::move(names);
  }
  RETURN_IF_ERROR(Save(std::move(record)));
  RETURN_IF_ERROR(TakeNamesFromOthers(records_[id]));
  return records_[id].image;
}

absl::Status ImageCatalog::Save(ImageRecord record) {
  record.written_at = absl::ToUnixNanos(absl::Now());
  RETURN_IF_ERROR(
      WriteFileAtomic(RecordPath(record.image.id), FormatImageRecord(record)));
  std::string id = record.image.id;
  records_[id] = std::move(record);
  return absl::OkStatus();
}

absl::Status ImageCatalog::TakeNamesFromOthers(const ImageRecord& owner) {
  for (auto& [id, other] : records_) {
    if (id == owner.image.id) continue;
    ImageRecord changed = other;
    auto is_taken = [&](const std::string& name) {
      return Contains(owner.image.names, name);
    };
    if (std::erase_if(changed.image.names, is_taken) > 0) {
      RETURN_IF_ERROR(Save(std::move(changed)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> ImageCatalog::Get(const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Found found, Find(reference));
  return records_[found.id].image;
}

std::vector<Image> ImageCatalog::List() {
  absl::MutexLock lock(&mutex_);
  std::vector<Image> images;
  for (const auto& [id, record] : records_) images.push_back(record.image);
  return images;
}

absl::StatusOr<std::unique_ptr<ImageHold>> ImageCatalog::Hold(
    const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Found found, Find(reference));
  const ImageRecord& record = records_[found.id];
  ASSIGN_OR_RETURN(std::vector<std::string> layers,
                   layers_.Visible(record.LayersTopFirst()),
                   absl::StrCat("image \"", reference, "\""));
  std::vector<std::string> lower_dirs;
  for (const std::string& layer : layers) {
    ASSIGN_OR_RETURN(std::string path, layers_.ShortPath(layer));
    lower_dirs.push_back(std::move(path));
  }
  ++holds_[found.id];
  return std::make_unique<HoldImpl>(shared_from_this(), record.image,
                                    std::move(lower_dirs));
}

absl::Status ImageCatalog::Remove(const std::string& reference) {
  std::vector<StagedTree> discarded;  // deleted after the lock is gone
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Found found, Find(reference));
  if (!found.name.empty() && records_[found.id].image.names.size() > 1) {
    return RemoveName(found);
  }
  if (holds_.contains(found.id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("image \"", reference, "\" (", found.id, ") is in use"));
  }
  std::vector<std::string> digests = records_[found.id].Digests();
  RETURN_IF_ERROR(RemoveFile(RecordPath(found.id)));
  RETURN_IF_ERROR(SyncDirectory(root_ + "/images"));
  records_.erase(found.id);
  discarded = Collect(digests);
  return absl::OkStatus();
}

absl::Status ImageCatalog::RemoveName(const Found& found) {
  ImageRecord record = records_[found.id];
  std::erase(record.image.names, found.name);
  return Save(std::move(record));
}

void ImageCatalog::Unpin(const std::vector<std::string>& digests) {
  std::vector<StagedTree> discarded;
  absl::MutexLock lock(&mutex_);
  for (const std::string& digest : digests) {
    if (--pins_[digest] == 0) pins_.erase(digest);
  }
  discarded = Collect(digests);
}

std::vector<StagedTree> ImageCatalog::Collect(
    const std::vector<std::string>& digests) {
  std::vector<StagedTree> discarded;
  for (const std::string& digest : digests) {
    if (IsNeeded(digest)) continue;
    // What cannot be taken away now is an orphan for the next Open.
    absl::StatusOr<StagedTree> tree = layers_.Discard(digest);
    if (tree.ok()) discarded.push_back(*std::move(tree));
    RemoveFile(BlobPath(digest)).IgnoreError();
  }
  return discarded;
}

bool ImageCatalog::IsNeeded(const std::string& digest) const {
  if (pins_.contains(digest)) return true;
  for (const auto& [id, record] : records_) {
    if (Contains(record.Digests(), digest)) return true;
  }
  return false;
}

absl::StatusOr<ImageCatalog::Found> ImageCatalog::Find(
    const std::string& reference) {
  if (absl::StatusOr<std::string> name = NormalizeImageName(reference);
      name.ok()) {
    for (const auto& [id, record] : records_) {
      if (Contains(record.image.names, *name)) return Found{id, *name};
    }
  }
  ASSIGN_OR_RETURN(std::string id, FindById(reference));
  return Found{id, ""};
}

absl::StatusOr<std::string> ImageCatalog::FindById(
    const std::string& reference) {
  absl::string_view prefix = absl::StripPrefix(reference, "sha256:");
  std::vector<std::string> matches;
  bool is_prefix = prefix.size() >= kMinIdPrefix &&
                   prefix.find_first_not_of("0123456789abcdef") == prefix.npos;
  for (const auto& [id, record] : records_) {
    if (is_prefix && absl::StartsWith(id, absl::StrCat("sha256:", prefix))) {
      matches.push_back(id);
    }
  }
  if (matches.size() == 1) return matches.front();
  if (matches.empty()) {
    return absl::NotFoundError(
        absl::StrCat("image \"", reference, "\" not found"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("image id \"", reference, "\" is ambiguous: ", matches[0],
                   " and ", matches[1], " begin with it"));
}

std::string ImageCatalog::RecordPath(const std::string& id) const {
  return absl::StrCat(root_, "/images/", absl::StripPrefix(id, "sha256:"),
                      ".json");
}

std::string ImageCatalog::BlobPath(const std::string& digest) const {
  return absl::StrCat(root_, "/blobs/sha256/",
                      absl::StripPrefix(digest, "sha256:"));
}

}  // namespace davit
