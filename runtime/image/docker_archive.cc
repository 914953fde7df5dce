#include "runtime/image/docker_archive.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_config.h"
#include "runtime/image/json_fields.h"

namespace davit {
namespace {

using nlohmann::json;

constexpr char kManifest[] = "manifest.json";

// "<hex>.json" and "blobs/sha256/<hex>" say what their contents hash to.
absl::Status CheckConfigName(absl::string_view path, absl::string_view text) {
  path.remove_prefix(path.rfind('/') + 1);
  absl::string_view hex = absl::StripSuffix(path, ".json");
  if (!IsSha256Hex(hex)) return absl::OkStatus();
  std::string digest = Sha256Digest(text);
  if (digest == absl::StrCat("sha256:", hex)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("configuration ", path, " is in truth ", digest));
}

absl::StatusOr<ImageContent> ReadImage(int layout_fd, const json& entry,
                                       const std::string& where) {
  ImageContent image;
  ASSIGN_OR_RETURN(image.names, StringListField(entry, "RepoTags", where));
  ASSIGN_OR_RETURN(std::string config, StringField(entry, "Config", where));
  ASSIGN_OR_RETURN(image.config, ReadContent(layout_fd, config), where);
  RETURN_IF_ERROR(CheckConfigName(config, image.config), where);
  ASSIGN_OR_RETURN(std::vector<std::string> layers,
                   StringListField(entry, "Layers", where));
  ASSIGN_OR_RETURN(ImageDocument document, ParseImageDocument(image.config),
                   where);
  if (document.diff_ids.size() != layers.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": there are ", layers.size(), " layers and ",
                     document.diff_ids.size(), " diff_ids"));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    image.layers.push_back({layers[i], document.diff_ids[i], ""});
  }
  return image;
}

}  // namespace

bool IsDockerArchive(int layout_fd) {
  absl::StatusOr<std::string> text = ReadContent(layout_fd, kManifest);
  if (!text.ok()) return false;
  absl::StatusOr<json> manifest = ParseJson(*text, kManifest);
  return manifest.ok() && manifest->is_array() && !manifest->empty() &&
         FieldOrNull(manifest->front(), "Layers").is_array();
}

absl::StatusOr<std::vector<ImageContent>> ReadDockerArchive(int layout_fd) {
  ASSIGN_OR_RETURN(std::string text, ReadContent(layout_fd, kManifest));
  ASSIGN_OR_RETURN(json manifest, ParseJson(text, kManifest));
  if (!manifest.is_array() || manifest.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kManifest, " is not a list of images"));
  }
  std::vector<ImageContent> images;
  for (const json& entry : manifest) {
    ASSIGN_OR_RETURN(
        ImageContent image,
        ReadImage(layout_fd, entry,
                  absl::StrCat(kManifest, "[", images.size(), "]")));
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace davit
