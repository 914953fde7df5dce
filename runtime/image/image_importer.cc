#include "runtime/image/image_importer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/archive_stream.h"
#include "runtime/image/digest.h"
#include "runtime/image/docker_archive.h"
#include "runtime/image/image_config.h"
#include "runtime/image/image_content.h"
#include "runtime/image/layer_unpacker.h"
#include "runtime/image/layer_view.h"
#include "runtime/image/oci_layout.h"
#include "runtime/image/parent_directories.h"
#include "runtime/image/read_progress.h"
#include "runtime/image/tree_copy.h"
#include "runtime/image/tree_digest.h"

namespace davit {
namespace {

constexpr const char* kInitPaths[] = {"/sbin/init", "/usr/lib/systemd/systemd",
                                      "/lib/systemd/systemd"};

// The file's name without directories and archive extensions, made a legal
// image name: "/x/Debian_12 (a).tar.gz" → "debian_12-a".
std::string BaseNameOf(absl::string_view path) {
  path = absl::StripSuffix(path, "/");
  path.remove_prefix(path.rfind('/') + 1);
  for (absl::string_view extension : {".gz", ".xz", ".zst", ".bz2", ".tgz",
                                      ".txz", ".tzst", ".tar", ".oci"}) {
    absl::ConsumeSuffix(&path, extension);
  }
  std::string name;
  for (char c : path) {
    bool is_separator = c == '.' || c == '_' || !absl::ascii_isalnum(c);
    bool after_separator = name.empty() || !absl::ascii_isalnum(name.back());
    if (is_separator && after_separator) continue;
    bool keep = absl::ascii_isalnum(c) || c == '.' || c == '_';
    name += keep ? absl::ascii_tolower(c) : '-';
  }
  while (!name.empty() && !absl::ascii_isalnum(name.back())) name.pop_back();
  return name.empty() ? "image" : name;
}

absl::Status CheckDigest(absl::string_view what, const std::string& wanted,
                         const std::string& found) {
  if (wanted.empty() || wanted == found) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(what, " is in truth ", found, ", want ", wanted));
}

// Entries that name the same image become one with several names.
std::vector<ImageContent> MergeSame(std::vector<ImageContent> contents) {
  std::vector<ImageContent> merged;
  for (ImageContent& content : contents) {
    auto same = std::find_if(merged.begin(), merged.end(),
                             [&](const ImageContent& other) {
                               return other.config == content.config;
                             });
    if (same == merged.end()) {
      merged.push_back(std::move(content));
    } else {
      same->names.insert(same->names.end(), content.names.begin(),
                         content.names.end());
    }
  }
  return merged;
}

class Importer {
 public:
  Importer(std::shared_ptr<ImageCatalog> catalog, const ImportRequest& request)
      : catalog_(std::move(catalog)),
        request_(request),
        base_name_(BaseNameOf(request.path)),
        progress_(request.progress),
        pins_(catalog_) {}

  absl::StatusOr<std::vector<Image>> Run() {
    if (request_.path.empty() || request_.path[0] != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat("path \"", request_.path, "\" is not an absolute path"));
    }
    if (!request_.name.empty()) {
      RETURN_IF_ERROR(NormalizeImageName(request_.name));
    }
    UniqueFd source(
        open(request_.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!source) return ErrnoError("open(%s)", request_.path);
    struct stat st;
    if (fstat(source.get(), &st) < 0) {
      return ErrnoError("fstat(%s)", request_.path);
    }
    if (S_ISDIR(st.st_mode)) return ImportDirectory(source.get());
    if (S_ISREG(st.st_mode)) return ImportFile(std::move(source));
    return absl::InvalidArgumentError(absl::StrCat(
        "path \"", request_.path, "\" is neither a file nor a directory"));
  }

 private:
  absl::StatusOr<std::vector<Image>> ImportDirectory(int source) {
    ImageFormat format = request_.format;
    if (format == ImageFormat::kAuto) {
      format = IsOciLayout(source) ? ImageFormat::kOciLayout
                                   : ImageFormat::kRootfsDirectory;
    }
    if (format == ImageFormat::kRootfsDirectory) return ImportTree(source);
    if (format != ImageFormat::kOciLayout) {
      return absl::InvalidArgumentError(
          "an archive is wanted, not a directory");
    }
    return ImportLayout(source, format, &progress_);
  }

  // Archives are unpacked first: what names a blob may come after it.
  absl::StatusOr<std::vector<Image>> ImportFile(UniqueFd source) {
    ASSIGN_OR_RETURN(StagedTree staged, catalog_->layers().Stage());
    ASSIGN_OR_RETURN(
        std::unique_ptr<TarStream> tar,
        TarStream::Open(std::move(source), limits_.max_bytes, &progress_));
    ASSIGN_OR_RETURN(UniqueFd tree, staged.OpenTree());
    ASSIGN_OR_RETURN(UnpackedTree unpacked,
                     UnpackTar(*tar, std::move(tree), limits_));
    ASSIGN_OR_RETURN(StreamDigests digests, tar->Finish());
    ASSIGN_OR_RETURN(tree, staged.OpenTree());

    ImageFormat format = request_.format;
    if (format == ImageFormat::kAuto) format = FormatOf(tree.get());
    if (format == ImageFormat::kRootfsTar) {
      return ImportRootfs(std::move(staged), digests.diff_id, unpacked);
    }
    // These bytes have been counted; now they are read once more.
    ReadProgress poll([this](uint64_t) { return progress_.Add(0).ok(); });
    return ImportLayout(tree.get(), format, &poll);
  }

  static ImageFormat FormatOf(int tree) {
    // Docker's archives since version 25 are both; the OCI part is verified.
    if (IsOciLayout(tree)) return ImageFormat::kOciArchive;
    if (IsDockerArchive(tree)) return ImageFormat::kDockerArchive;
    return ImageFormat::kRootfsTar;
  }

  absl::StatusOr<std::vector<Image>> ImportLayout(int layout,
                                                  ImageFormat format,
                                                  ReadProgress* progress) {
    std::vector<ImageContent> contents;
    switch (format) {
      case ImageFormat::kOciLayout:
      case ImageFormat::kOciArchive: {
        ASSIGN_OR_RETURN(contents, ReadOciLayout(layout, base_name_),
                         "OCI layout");
        break;
      }
      case ImageFormat::kDockerArchive: {
        ASSIGN_OR_RETURN(contents, ReadDockerArchive(layout), "docker archive");
        break;
      }
      default:
        return absl::InvalidArgumentError("a directory is wanted, not a file");
    }
    contents = MergeSame(std::move(contents));
    if (contents.size() > 1 && !request_.name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("name \"", request_.name, "\" cannot be given to ",
                       contents.size(), " images"));
    }
    std::vector<Image> images;
    for (const ImageContent& content : contents) {
      ASSIGN_OR_RETURN(std::vector<std::string> names,
                       NamesFor(content, contents.size() == 1));
      ASSIGN_OR_RETURN(Image image,
                       ImportContent(layout, content, names, progress));
      images.push_back(std::move(image));
    }
    return images;
  }

  absl::StatusOr<std::vector<std::string>> NamesFor(const ImageContent& content,
                                                    bool is_only_image) {
    std::vector<std::string> names = content.names;
    if (!request_.name.empty()) names = {request_.name};
    if (names.empty() && is_only_image) names = {base_name_};
    std::vector<std::string> result;
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(std::string normal, NormalizeImageName(name));
      if (std::find(result.begin(), result.end(), normal) == result.end()) {
        result.push_back(std::move(normal));
      }
    }
    return result;
  }

  absl::StatusOr<Image> ImportContent(int layout, const ImageContent& content,
                                      const std::vector<std::string>& names,
                                      ReadProgress* progress) {
    absl::StatusOr<Image> known =
        catalog_->AddNames(Sha256Digest(content.config), names);
    if (!absl::IsNotFound(known.status())) return known;

    ImageRecord record;
    ASSIGN_OR_RETURN(record.image.id,
                     catalog_->AddBlob(content.config, &pins_));
    if (!content.manifest.empty()) {
      ASSIGN_OR_RETURN(record.manifest,
                       catalog_->AddBlob(content.manifest, &pins_));
    }
    for (const LayerBlob& layer : content.layers) {
      RETURN_IF_ERROR(ImportLayer(layout, layer, progress),
                      absl::StrCat("layer ", layer.path));
    }
    record.image.names = names;
    return Finish(std::move(record), content.config);
  }

  absl::Status ImportLayer(int layout, const LayerBlob& layer,
                           ReadProgress* progress) {
    pins_.Add(layer.diff_id);
    if (catalog_->layers().Contains(layer.diff_id)) return absl::OkStatus();
    ASSIGN_OR_RETURN(UniqueFd blob, OpenContent(layout, layer.path));
    ASSIGN_OR_RETURN(StagedTree staged, catalog_->layers().Stage());
    ASSIGN_OR_RETURN(UniqueFd tree, staged.OpenTree());
    ASSIGN_OR_RETURN(
        std::unique_ptr<TarStream> tar,
        TarStream::Open(std::move(blob), limits_.max_bytes, progress));
    ASSIGN_OR_RETURN(UnpackedTree unpacked,
                     UnpackTar(*tar, std::move(tree), limits_));
    ASSIGN_OR_RETURN(StreamDigests digests, tar->Finish());
    RETURN_IF_ERROR(CheckDigest("blob", layer.blob_digest, digests.blob));
    RETURN_IF_ERROR(CheckDigest("diff id", layer.diff_id, digests.diff_id));
    return CommitLayer(std::move(staged), layer.diff_id, unpacked);
  }

  absl::StatusOr<std::vector<Image>> ImportTree(int source) {
    ASSIGN_OR_RETURN(StagedTree staged, catalog_->layers().Stage());
    ASSIGN_OR_RETURN(UniqueFd to, staged.OpenTree());
    ASSIGN_OR_RETURN(UnpackedTree copied,
                     CopyTree(source, std::move(to), limits_, &progress_),
                     absl::StrCat("copy ", request_.path));
    // Of the copy: nobody can change it while it is read.
    ASSIGN_OR_RETURN(UniqueFd copy, staged.OpenTree());
    ASSIGN_OR_RETURN(std::string diff_id, TreeDigest(copy.get()));
    return ImportRootfs(std::move(staged), diff_id, copied);
  }

  // A tree without a configuration: makes up one.
  absl::StatusOr<std::vector<Image>> ImportRootfs(
      StagedTree staged, const std::string& diff_id,
      const UnpackedTree& unpacked) {
    ImageDocument document;
    document.config.architecture = MachineArchitecture();
    document.config.os = "linux";
    document.diff_ids = {diff_id};
    ImageContent content;
    content.config = FormatImageDocument(document);
    content.layers = {{"", diff_id, ""}};
    ASSIGN_OR_RETURN(std::vector<std::string> names, NamesFor(content, true));

    pins_.Add(diff_id);
    if (!catalog_->layers().Contains(diff_id)) {
      RETURN_IF_ERROR(CommitLayer(std::move(staged), diff_id, unpacked));
    }
    ASSIGN_OR_RETURN(Image image,
                     ImportContent(-1, content, names, &progress_));
    return std::vector<Image>{std::move(image)};
  }

  absl::Status CommitLayer(StagedTree staged, const std::string& diff_id,
                           const UnpackedTree& unpacked) {
    return catalog_->layers().Commit(
        std::move(staged), diff_id,
        {unpacked.size_bytes, unpacked.implicit_directories});
  }

  // All layers are there: says what they are together and commits.
  absl::StatusOr<Image> Finish(ImageRecord record, const std::string& config) {
    ASSIGN_OR_RETURN(ImageDocument document, ParseImageDocument(config));
    if (document.diff_ids.empty()) {
      return absl::InvalidArgumentError("image has no layers");
    }
    record.image.config = std::move(document.config);
    record.image.layers = std::move(document.diff_ids);
    record.image.imported_at = absl::Now();

    const LayerStore& layers = catalog_->layers();
    std::vector<std::string> top_first = record.LayersTopFirst();
    for (const std::string& layer : top_first) {
      ASSIGN_OR_RETURN(LayerInfo info, layers.Info(layer));
      record.image.size_bytes += info.size_bytes;
    }
    std::vector<std::string> trees;
    std::vector<std::set<std::string>> implicit;
    ASSIGN_OR_RETURN(top_first, layers.Visible(top_first));
    for (const std::string& layer : top_first) {
      ASSIGN_OR_RETURN(LayerInfo info, layers.Info(layer));
      implicit.emplace_back(info.implicit_directories.begin(),
                            info.implicit_directories.end());
      trees.push_back(layers.TreePath(layer));
    }
    ASSIGN_OR_RETURN(LayerView view, LayerView::Open(trees));
    ASSIGN_OR_RETURN(record.image.bootable, IsBootable(view));
    ASSIGN_OR_RETURN(record.parents_layer, MakeParentsLayer(view, implicit));
    return catalog_->Commit(std::move(record));
  }

  static absl::StatusOr<bool> IsBootable(const LayerView& view) {
    for (const char* path : kInitPaths) {
      absl::StatusOr<LayerView::Source> init = view.Resolve(path);
      if (init.ok() && S_ISREG(init->st.st_mode) &&
          (init->st.st_mode & 0111) != 0) {
        return true;
      }
      bool is_plainly_not = init.ok() || absl::IsNotFound(init.status()) ||
                            absl::IsFailedPrecondition(init.status());
      if (!is_plainly_not) return init.status();
    }
    return false;
  }

  // Returns the layer's digest; empty if none is needed.
  absl::StatusOr<std::string> MakeParentsLayer(
      const LayerView& view,
      const std::vector<std::set<std::string>>& implicit) {
    ASSIGN_OR_RETURN(std::set<std::string> directories,
                     FindMisguessedDirectories(view, implicit));
    if (directories.empty()) return "";
    ASSIGN_OR_RETURN(StagedTree staged, catalog_->layers().Stage());
    ASSIGN_OR_RETURN(UniqueFd to, staged.OpenTree());
    RETURN_IF_ERROR(
        WriteParentDirectories(view, implicit, directories, std::move(to)));
    ASSIGN_OR_RETURN(UniqueFd tree, staged.OpenTree());
    ASSIGN_OR_RETURN(std::string digest, TreeDigest(tree.get()));
    pins_.Add(digest);
    if (!catalog_->layers().Contains(digest)) {
      RETURN_IF_ERROR(CommitLayer(std::move(staged), digest, {}));
    }
    return digest;
  }

  const std::shared_ptr<ImageCatalog> catalog_;
  const ImportRequest& request_;
  const std::string base_name_;
  const UnpackLimits limits_;
  ReadProgress progress_;
  ImageCatalog::Pins pins_;
};

}  // namespace

absl::StatusOr<std::vector<Image>> ImportImages(
    std::shared_ptr<ImageCatalog> catalog, const ImportRequest& request) {
  absl::StatusOr<std::vector<Image>> images =
      Importer(std::move(catalog), request).Run();
  RETURN_IF_ERROR(images.status(), absl::StrCat("import ", request.path));
  return images;
}

}  // namespace davit
