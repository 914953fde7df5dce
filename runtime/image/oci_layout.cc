#include "runtime/image/oci_layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_config.h"
#include "runtime/image/json_fields.h"

namespace davit {
namespace {

using nlohmann::json;

constexpr int kMaxIndexDepth = 4;

constexpr char kContainerdName[] = "io.containerd.image.name";
constexpr char kRefName[] = "org.opencontainers.image.ref.name";

bool IsIndexType(absl::string_view type) {
  return type == "application/vnd.oci.image.index.v1+json" ||
         type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool IsManifestType(absl::string_view type) {
  return type == "application/vnd.oci.image.manifest.v1+json" ||
         type == "application/vnd.docker.distribution.manifest.v2+json";
}

bool IsConfigType(absl::string_view type) {
  return type == "application/vnd.oci.image.config.v1+json" ||
         type == "application/vnd.docker.container.image.v1+json";
}

// image-spec/descriptor.md.
struct Descriptor {
  std::string media_type;
  std::string digest;
  std::string path;  // "blobs/sha256/<hex>"
  uint64_t size = 0;
  std::string os, architecture;  // empty if the platform is not said
  std::map<std::string, std::string> annotations;
};

absl::StatusOr<Descriptor> ParseDescriptor(const json& value,
                                           absl::string_view where) {
  Descriptor result;
  ASSIGN_OR_RETURN(result.media_type, StringField(value, "mediaType", where));
  ASSIGN_OR_RETURN(result.digest, StringField(value, "digest", where));
  ASSIGN_OR_RETURN(std::string hex, DigestHex(result.digest), where);
  result.path = absl::StrCat("blobs/sha256/", hex);
  ASSIGN_OR_RETURN(result.size, UnsignedField(value, "size", where));
  ASSIGN_OR_RETURN(result.annotations,
                   StringMapField(value, "annotations", where));
  const json& platform = FieldOrNull(value, "platform");
  ASSIGN_OR_RETURN(result.os, StringField(platform, "os", where));
  ASSIGN_OR_RETURN(result.architecture,
                   StringField(platform, "architecture", where));
  return result;
}

// What buildx adds beside images: "unknown/unknown", or marked as such.
bool IsAttestation(const Descriptor& descriptor) {
  return descriptor.os == "unknown" ||
         descriptor.annotations.contains("vnd.docker.reference.type");
}

std::string PlatformOf(const Descriptor& descriptor) {
  if (descriptor.os.empty()) return "no platform";
  return absl::StrCat(descriptor.os, "/", descriptor.architecture);
}

absl::StatusOr<Descriptor> ChooseByPlatform(
    const std::vector<Descriptor>& all) {
  std::vector<Descriptor> images;
  for (const Descriptor& descriptor : all) {
    if (!IsAttestation(descriptor)) images.push_back(descriptor);
  }
  std::string architecture = MachineArchitecture();
  for (const Descriptor& descriptor : images) {
    if (descriptor.os == "linux" && descriptor.architecture == architecture) {
      return descriptor;
    }
  }
  if (images.size() == 1) return images.front();
  return absl::InvalidArgumentError(absl::StrCat(
      "no manifest for linux/", architecture, "; there are: ",
      absl::StrJoin(images, ", ",
                    [](std::string* out, const Descriptor& descriptor) {
                      absl::StrAppend(out, PlatformOf(descriptor));
                    })));
}

class LayoutReader {
 public:
  LayoutReader(int layout_fd, const std::string& base_name)
      : layout_fd_(layout_fd), base_name_(base_name) {}

  absl::StatusOr<std::vector<ImageContent>> Read() {
    RETURN_IF_ERROR(CheckVersion());
    ASSIGN_OR_RETURN(std::string text, ReadContent(layout_fd_, "index.json"));
    ASSIGN_OR_RETURN(std::vector<Descriptor> descriptors,
                     ParseIndex(text, "index.json"));
    ASSIGN_OR_RETURN(std::vector<Descriptor> chosen, ChooseImages(descriptors));
    if (chosen.empty()) {
      return absl::InvalidArgumentError("index.json lists no image");
    }
    std::vector<ImageContent> images;
    for (const Descriptor& descriptor : chosen) {
      ASSIGN_OR_RETURN(ImageContent image, ReadImage(descriptor, 0));
      std::string name = NameOf(descriptor);
      if (!name.empty()) image.names.push_back(std::move(name));
      images.push_back(std::move(image));
    }
    return images;
  }

 private:
  absl::Status CheckVersion() {
    ASSIGN_OR_RETURN(std::string text, ReadContent(layout_fd_, "oci-layout"));
    ASSIGN_OR_RETURN(json layout, ParseJson(text, "oci-layout"));
    ASSIGN_OR_RETURN(std::string version,
                     StringField(layout, "imageLayoutVersion", "oci-layout"));
    if (!absl::StartsWith(version, "1.")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "oci-layout: version \"", version, "\" is not supported"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Descriptor>> ParseIndex(absl::string_view text,
                                                     absl::string_view where) {
    ASSIGN_OR_RETURN(json index, ParseJson(text, where));
    ASSIGN_OR_RETURN(json manifests, ListField(index, "manifests", where));
    std::vector<Descriptor> result;
    for (const json& item : manifests) {
      ASSIGN_OR_RETURN(Descriptor descriptor,
                       ParseDescriptor(item, absl::StrCat(where, ": manifests[",
                                                          result.size(), "]")));
      result.push_back(std::move(descriptor));
    }
    return result;
  }

  // Entries of one name that say their platforms are one image.
  absl::StatusOr<std::vector<Descriptor>> ChooseImages(
      const std::vector<Descriptor>& descriptors) {
    std::map<std::string, std::vector<Descriptor>> platforms_of;
    std::vector<Descriptor> result;
    for (const Descriptor& descriptor : descriptors) {
      if (IsAttestation(descriptor)) continue;
      if (descriptor.os.empty()) {
        result.push_back(descriptor);
      } else {
        platforms_of[NameOf(descriptor)].push_back(descriptor);
      }
    }
    for (const auto& [name, platforms] : platforms_of) {
      ASSIGN_OR_RETURN(Descriptor chosen, ChooseByPlatform(platforms), name);
      result.push_back(std::move(chosen));
    }
    return result;
  }

  std::string NameOf(const Descriptor& descriptor) const {
    auto full = descriptor.annotations.find(kContainerdName);
    if (full != descriptor.annotations.end()) return full->second;
    auto ref = descriptor.annotations.find(kRefName);
    if (ref == descriptor.annotations.end()) return "";
    if (ref->second.find_first_of("/:@") != std::string::npos) {
      return ref->second;
    }
    return absl::StrCat(base_name_, ":", ref->second);
  }

  // A manifest or configuration, verified.
  absl::StatusOr<std::string> ReadBlob(const Descriptor& descriptor) {
    ASSIGN_OR_RETURN(std::string text,
                     ReadContent(layout_fd_, descriptor.path));
    std::string digest = Sha256Digest(text);
    if (text.size() != descriptor.size || digest != descriptor.digest) {
      return absl::DataLossError(absl::StrCat(
          "blob ", descriptor.digest, " of ", descriptor.size,
          " bytes is in truth ", digest, " of ", text.size(), " bytes"));
    }
    return text;
  }

  absl::StatusOr<ImageContent> ReadImage(const Descriptor& descriptor,
                                         int depth) {
    std::string where = absl::StrCat("manifest ", descriptor.digest);
    ASSIGN_OR_RETURN(std::string text, ReadBlob(descriptor));
    if (IsManifestType(descriptor.media_type)) {
      return ReadManifest(std::move(text), where);
    }
    if (!IsIndexType(descriptor.media_type)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": media type \"", descriptor.media_type,
                       "\" is neither an image nor an index"));
    }
    if (depth >= kMaxIndexDepth) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": indexes are nested deeper than ", kMaxIndexDepth));
    }
    ASSIGN_OR_RETURN(std::vector<Descriptor> descriptors,
                     ParseIndex(text, where));
    ASSIGN_OR_RETURN(Descriptor chosen, ChooseByPlatform(descriptors), where);
    return ReadImage(chosen, depth + 1);
  }

  absl::StatusOr<ImageContent> ReadManifest(std::string text,
                                            const std::string& where) {
    ASSIGN_OR_RETURN(json manifest, ParseJson(text, where));
    ASSIGN_OR_RETURN(Descriptor config,
                     ParseDescriptor(FieldOrNull(manifest, "config"),
                                     absl::StrCat(where, ": config")));
    if (!IsConfigType(config.media_type)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": configuration of type \"", config.media_type,
                       "\": not an image that can run"));
    }
    ImageContent image;
    ASSIGN_OR_RETURN(image.config, ReadBlob(config), where);
    ASSIGN_OR_RETURN(json layers, ListField(manifest, "layers", where));
    for (const json& item : layers) {
      ASSIGN_OR_RETURN(
          Descriptor layer,
          ParseDescriptor(item, absl::StrCat(where, ": layers[",
                                             image.layers.size(), "]")));
      image.layers.push_back({layer.path, "", layer.digest});
    }
    image.manifest = std::move(text);
    RETURN_IF_ERROR(AssignDiffIds(&image), where);
    return image;
  }

  static absl::Status AssignDiffIds(ImageContent* image) {
    ASSIGN_OR_RETURN(ImageDocument document, ParseImageDocument(image->config));
    if (document.diff_ids.size() != image->layers.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are ", image->layers.size(), " layers and ",
                       document.diff_ids.size(), " diff_ids"));
    }
    for (size_t i = 0; i < image->layers.size(); ++i) {
      image->layers[i].diff_id = document.diff_ids[i];
    }
    return absl::OkStatus();
  }

  const int layout_fd_;
  const std::string base_name_;
};

}  // namespace

bool IsOciLayout(int layout_fd) {
  struct stat st;
  return fstatat(layout_fd, "oci-layout", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat(layout_fd, "index.json", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::StatusOr<std::vector<ImageContent>> ReadOciLayout(
    int layout_fd, const std::string& base_name) {
  return LayoutReader(layout_fd, base_name).Read();
}

}  // namespace davit
