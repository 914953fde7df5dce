#ifndef DAVIT_RUNTIME_IMAGE_TEST_IMAGES_H_
#define DAVIT_RUNTIME_IMAGE_TEST_IMAGES_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/image/tar_builder.h"

namespace davit::testing {

// Writes a file and the directories above it.
void Put(const std::string& path, const std::string& data);

std::string Compress(const std::string& data, Compression compression);

// What a made-up image consists of.
struct TestImage {
  std::vector<std::string> layers;                   // tars, bottom first
  nlohmann::json config = nlohmann::json::object();  // Entrypoint, Env, …
  std::string architecture = "amd64";
  Compression compression = Compression::kGzip;
};

// Writes OCI layouts piece by piece, so that a test can break any of them.
class LayoutBuilder {
 public:
  explicit LayoutBuilder(std::string directory);

  // Writes the image's blobs; returns its manifest's descriptor.
  nlohmann::json AddImage(const TestImage& image);
  // Writes an index of descriptors; returns its own descriptor.
  nlohmann::json AddIndex(const std::vector<nlohmann::json>& manifests);
  // Writes a blob; returns its descriptor.
  nlohmann::json AddBlob(const std::string& data, const std::string& type);
  // Lists a descriptor in index.json; `name` is its ref.name, may be empty.
  void List(nlohmann::json descriptor, const std::string& name = "");

  std::string BlobPath(const nlohmann::json& descriptor) const;

 private:
  const std::string directory_;
  nlohmann::json manifests_ = nlohmann::json::array();
};

// The image as "docker save" writes it, in a directory.
void WriteDockerArchive(const std::string& directory, const TestImage& image,
                        const std::vector<std::string>& tags);

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_IMAGE_TEST_IMAGES_H_
