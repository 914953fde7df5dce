#include "runtime/image/fake_image_store.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"

namespace davit {
namespace {

std::string BaseName(const std::string& path) {
  std::string base = path.substr(path.rfind('/') + 1);
  return base.substr(0, base.find('.'));
}

}  // namespace

class FakeImageStore::FakeHold : public ImageHold {
 public:
  FakeHold(FakeImageStore* store, const Entry& entry)
      : store_(store), image_(entry.image), lower_dirs_(entry.lower_dirs) {}
  ~FakeHold() override {
    absl::MutexLock lock(&store_->mutex_);
    --store_->entries_[image_.id].holds;
  }
  const Image& image() const override { return image_; }
  const std::vector<std::string>& lower_dirs() const override {
    return lower_dirs_;
  }

 private:
  FakeImageStore* const store_;
  const Image image_;
  const std::vector<std::string> lower_dirs_;
};

Image FakeImageStore::Add(const std::string& name, ImageConfig config,
                          bool bootable, std::vector<std::string> lower_dirs) {
  absl::MutexLock lock(&mutex_);
  return AddLocked("/" + name, NormalizeImageName(name).value(),
                   std::move(config), bootable, std::move(lower_dirs));
}

void FakeImageStore::FailNextImport(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  next_import_ = std::move(status);
}

void FakeImageStore::FailNextHold(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  next_hold_ = std::move(status);
}

int FakeImageStore::hold_count(const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<Found> found = Find(reference);
  return found.ok() ? found->entry->holds : 0;
}

absl::StatusOr<std::vector<Image>> FakeImageStore::Import(
    const ImportRequest& request) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(std::exchange(next_import_, absl::OkStatus()));
  if (!absl::StartsWith(request.path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("path \"", request.path, "\" is not an absolute path"));
  }
  ASSIGN_OR_RETURN(
      std::string name,
      NormalizeImageName(request.name.empty() ? BaseName(request.path)
                                              : request.name));
  if (request.progress && !request.progress(0)) {
    return absl::CancelledError("import was cancelled");
  }
  return std::vector<Image>{AddLocked(request.path, name, {}, false, {})};
}

Image FakeImageStore::AddLocked(const std::string& path,
                                const std::string& name, ImageConfig config,
                                bool bootable,
                                std::vector<std::string> lower_dirs) {
  for (auto& [id, entry] : entries_) std::erase(entry.image.names, name);
  std::string id = Sha256Digest(path);
  auto [it, is_new] = entries_.try_emplace(id);
  Entry& entry = it->second;
  if (is_new) {
    entry.image.id = id;
    entry.image.config = std::move(config);
    entry.image.layers = {Sha256Digest(id)};
    entry.image.imported_at = absl::Now();
    entry.image.bootable = bootable;
    entry.lower_dirs = lower_dirs.empty()
                           ? std::vector<std::string>{"/fake/" + id.substr(7)}
                           : std::move(lower_dirs);
  }
  entry.image.names.push_back(name);
  return entry.image;
}

absl::StatusOr<Image> FakeImageStore::Get(const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Found found, Find(reference));
  return found.entry->image;
}

std::vector<Image> FakeImageStore::List() {
  absl::MutexLock lock(&mutex_);
  std::vector<Image> images;
  for (const auto& [id, entry] : entries_) images.push_back(entry.image);
  return images;
}

absl::StatusOr<std::unique_ptr<ImageHold>> FakeImageStore::Hold(
    const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(std::exchange(next_hold_, absl::OkStatus()));
  ASSIGN_OR_RETURN(Found found, Find(reference));
  ++found.entry->holds;
  return std::make_unique<FakeHold>(this, *found.entry);
}

absl::Status FakeImageStore::Remove(const std::string& reference) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Found found, Find(reference));
  Image& image = found.entry->image;
  if (!found.name.empty() && image.names.size() > 1) {
    std::erase(image.names, found.name);
    return absl::OkStatus();
  }
  if (found.entry->holds > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("image \"", reference, "\" (", image.id, ") is in use"));
  }
  entries_.erase(std::string(image.id));
  return absl::OkStatus();
}

absl::StatusOr<FakeImageStore::Found> FakeImageStore::Find(
    const std::string& reference) {
  absl::StatusOr<std::string> name = NormalizeImageName(reference);
  absl::string_view prefix = absl::StripPrefix(reference, "sha256:");
  std::vector<Entry*> matches;
  for (auto& [id, entry] : entries_) {
    const std::vector<std::string>& names = entry.image.names;
    if (name.ok() &&
        std::find(names.begin(), names.end(), *name) != names.end()) {
      return Found{&entry, *name};
    }
    if (prefix.size() >= 4 &&
        absl::StartsWith(id, absl::StrCat("sha256:", prefix))) {
      matches.push_back(&entry);
    }
  }
  if (matches.size() == 1) return Found{matches.front(), ""};
  if (matches.empty()) {
    return absl::NotFoundError(
        absl::StrCat("image \"", reference, "\" not found"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("image id \"", reference, "\" is ambiguous"));
}

}  // namespace davit
