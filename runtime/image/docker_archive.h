#ifndef DAVIT_RUNTIME_IMAGE_DOCKER_ARCHIVE_H_
#define DAVIT_RUNTIME_IMAGE_DOCKER_ARCHIVE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "runtime/image/image_content.h"

namespace davit {

// True if the directory has a manifest.json that lists layers.
bool IsDockerArchive(int layout_fd);

// The images of an unpacked "docker save" archive
// (github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem
// Changeset Format"): manifest.json with Config, RepoTags and Layers.
absl::StatusOr<std::vector<ImageContent>> ReadDockerArchive(int layout_fd);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_DOCKER_ARCHIVE_H_
