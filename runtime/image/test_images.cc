#include "runtime/image/test_images.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/image/digest.h"

namespace davit::testing {
namespace {

using nlohmann::json;

void Require(const absl::Status& status) {
  if (!status.ok()) abort();
}

la_ssize_t Append(archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

json ConfigOf(const TestImage& image) {
  json diff_ids = json::array();
  for (const std::string& layer : image.layers) {
    diff_ids.push_back(Sha256Digest(layer));
  }
  return {{"architecture", image.architecture},
          {"os", "linux"},
          {"config", image.config},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

std::string LayerType(Compression compression) {
  std::string type = "application/vnd.oci.image.layer.v1.tar";
  if (compression == Compression::kGzip) return type + "+gzip";
  if (compression == Compression::kZstd) return type + "+zstd";
  return type;
}

}  // namespace

void Put(const std::string& path, const std::string& data) {
  Require(MakeDirectories(path.substr(0, path.rfind('/'))));
  Require(WriteFileAtomic(path, data));
}

std::string Compress(const std::string& data, Compression compression) {
  if (compression == Compression::kNone) return data;
  std::string out;
  archive* a = archive_write_new();
  if (compression == Compression::kGzip) archive_write_add_filter_gzip(a);
  // Else the second of the day would be in the bytes and so in the digest.
  archive_write_set_filter_option(a, "gzip", "timestamp", nullptr);
  if (compression == Compression::kZstd) archive_write_add_filter_zstd(a);
  if (compression == Compression::kXz) archive_write_add_filter_xz(a);
  archive_write_set_format_raw(a);
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open(a, &out, nullptr, Append, nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "data");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(a, entry);
  archive_write_data(a, data.data(), data.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  return out;
}

LayoutBuilder::LayoutBuilder(std::string directory)
    : directory_(std::move(directory)) {
  Put(directory_ + "/oci-layout", R"({"imageLayoutVersion": "1.0.0"})");
}

json LayoutBuilder::AddBlob(const std::string& data, const std::string& type) {
  json descriptor = {{"mediaType", type},
                     {"digest", Sha256Digest(data)},
                     {"size", data.size()}};
  Put(BlobPath(descriptor), data);
  return descriptor;
}

json LayoutBuilder::AddImage(const TestImage& image) {
  json layers = json::array();
  for (const std::string& layer : image.layers) {
    layers.push_back(AddBlob(Compress(layer, image.compression),
                             LayerType(image.compression)));
  }
  json manifest = {{"schemaVersion", 2},
                   {"config", AddBlob(ConfigOf(image).dump(),
                                      "application/vnd.oci.image.config.v1+"
                                      "json")},
                   {"layers", layers}};
  return AddBlob(manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
}

json LayoutBuilder::AddIndex(const std::vector<json>& manifests) {
  return AddBlob(json({{"schemaVersion", 2}, {"manifests", manifests}}).dump(),
                 "application/vnd.oci.image.index.v1+json");
}

void LayoutBuilder::List(json descriptor, const std::string& name) {
  if (!name.empty()) {
    descriptor["annotations"]["org.opencontainers.image.ref.name"] = name;
  }
  manifests_.push_back(std::move(descriptor));
  Put(directory_ + "/index.json",
      json({{"schemaVersion", 2}, {"manifests", manifests_}}).dump());
}

std::string LayoutBuilder::BlobPath(const json& descriptor) const {
  return absl::StrCat(directory_, "/blobs/sha256/",
                      descriptor["digest"].get<std::string>().substr(7));
}

void WriteDockerArchive(const std::string& directory, const TestImage& image,
                        const std::vector<std::string>& tags) {
  std::string config = ConfigOf(image).dump();
  std::string config_name = Sha256Digest(config).substr(7) + ".json";
  Put(directory + "/" + config_name, config);
  json layers = json::array();
  for (size_t i = 0; i < image.layers.size(); ++i) {
    std::string name = absl::StrCat("layer", i, "/layer.tar");
    Put(directory + "/" + name, image.layers[i]);
    layers.push_back(name);
  }
  json entry = {{"Config", config_name}, {"Layers", layers}};
  entry["RepoTags"] = tags.empty() ? json() : json(tags);
  Put(directory + "/manifest.json", json::array({entry}).dump());
}

}  // namespace davit::testing
