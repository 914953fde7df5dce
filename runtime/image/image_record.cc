#include "runtime/image/image_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_config.h"
#include "runtime/image/json_fields.h"

namespace davit {
namespace {

using nlohmann::json;

constexpr uint64_t kVersion = 1;
constexpr char kWhere[] = "image record";

absl::StatusOr<ImageRecord> ParseFields(const json& root) {
  ImageRecord record;
  Image& image = record.image;
  ASSIGN_OR_RETURN(image.id, StringField(root, "id", kWhere));
  ASSIGN_OR_RETURN(image.names, StringListField(root, "names", kWhere));
  // The configuration has the form of an OCI document, diff ids included.
  ASSIGN_OR_RETURN(ImageDocument document,
                   ParseImageDocument(DumpJson(FieldOrNull(root, "image"))));
  image.config = std::move(document.config);
  image.layers = std::move(document.diff_ids);
  ASSIGN_OR_RETURN(image.size_bytes, UnsignedField(root, "sizeBytes", kWhere));
  image.bootable = FieldOrNull(root, "bootable") == json(true);
  ASSIGN_OR_RETURN(std::string imported,
                   StringField(root, "importedAt", kWhere));
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, imported, &image.imported_at,
                       &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kWhere, ": \"importedAt\": ", error));
  }
  ASSIGN_OR_RETURN(record.parents_layer,
                   StringField(root, "parentsLayer", kWhere));
  ASSIGN_OR_RETURN(record.manifest, StringField(root, "manifest", kWhere));
  ASSIGN_OR_RETURN(uint64_t written_at,
                   UnsignedField(root, "writtenAt", kWhere));
  record.written_at = static_cast<int64_t>(written_at);
  for (const std::string& digest : record.Digests()) {
    RETURN_IF_ERROR(DigestHex(digest), kWhere);
  }
  return record;
}

}  // namespace

std::vector<std::string> ImageRecord::Digests() const {
  std::vector<std::string> digests = image.layers;
  digests.push_back(image.id);
  if (!parents_layer.empty()) digests.push_back(parents_layer);
  if (!manifest.empty()) digests.push_back(manifest);
  return digests;
}

std::vector<std::string> ImageRecord::LayersTopFirst() const {
  std::vector<std::string> result;
  if (!parents_layer.empty()) result.push_back(parents_layer);
  for (auto layer = image.layers.rbegin(); layer != image.layers.rend();
       ++layer) {
    if (std::find(result.begin(), result.end(), *layer) == result.end()) {
      result.push_back(*layer);
    }
  }
  return result;
}

std::string FormatImageRecord(const ImageRecord& record) {
  const Image& image = record.image;
  json document = json::parse(FormatImageDocument({image.config, image.layers}),
                              nullptr, /*allow_exceptions=*/false);
  json root = {
      {"version", kVersion},
      {"id", image.id},
      {"names", image.names},
      {"image", std::move(document)},
      {"sizeBytes", image.size_bytes},
      {"importedAt", absl::FormatTime(absl::RFC3339_full, image.imported_at,
                                      absl::UTCTimeZone())},
      {"bootable", image.bootable},
      {"writtenAt", static_cast<uint64_t>(record.written_at)}};
  if (!record.parents_layer.empty()) {
    root["parentsLayer"] = record.parents_layer;
  }
  if (!record.manifest.empty()) root["manifest"] = record.manifest;
  return absl::StrCat(DumpJson(root, 2), "\n");
}

absl::StatusOr<ImageRecord> ParseImageRecord(absl::string_view text) {
  absl::StatusOr<json> root = ParseJson(text, kWhere);
  if (!root.ok()) return absl::DataLossError(root.status().message());
  const json& version = FieldOrNull(*root, "version");
  if (version.is_number_unsigned() && version.get<uint64_t>() > kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(kWhere, " is of version ", version.get<uint64_t>(),
                     ", this program knows ", kVersion));
  }
  absl::StatusOr<ImageRecord> record = ParseFields(*root);
  if (!record.ok()) return absl::DataLossError(record.status().message());
  return record;
}

}  // namespace davit
