#include "agent/rpc/image_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/rpc/convert.h"
#include "agent/rpc/grpc_status.h"
#include "agent/rpc/page.h"
#include "davit/v1/image_service.grpc.pb.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

using ::grpc::ServerContext;

void ToProto(const Image& from, v1::Image* to) {
  to->set_id(from.id);
  to->mutable_names()->Assign(from.names.begin(), from.names.end());
  to->set_size_bytes(from.size_bytes);
  *to->mutable_import_time() = TimeToProto(from.imported_at);
  to->set_bootable(from.bootable);
  to->mutable_layers()->Assign(from.layers.begin(), from.layers.end());
  const ImageConfig& config = from.config;
  to->set_architecture(config.architecture);
  to->set_os(config.os);
  to->mutable_entrypoint()->Assign(config.entrypoint.begin(),
                                   config.entrypoint.end());
  to->mutable_cmd()->Assign(config.cmd.begin(), config.cmd.end());
  to->mutable_env()->Assign(config.env.begin(), config.env.end());
  to->set_working_dir(config.working_dir);
  to->set_user(config.user);
  to->mutable_labels()->insert(config.labels.begin(), config.labels.end());
}

absl::StatusOr<ImageFormat> FormatOf(v1::ImageFormat format) {
  switch (format) {
    case v1::IMAGE_FORMAT_UNSPECIFIED:
      return ImageFormat::kAuto;
    case v1::IMAGE_FORMAT_OCI_LAYOUT:
      return ImageFormat::kOciLayout;
    case v1::IMAGE_FORMAT_OCI_ARCHIVE:
      return ImageFormat::kOciArchive;
    case v1::IMAGE_FORMAT_DOCKER_ARCHIVE:
      return ImageFormat::kDockerArchive;
    case v1::IMAGE_FORMAT_ROOTFS_TAR:
      return ImageFormat::kRootfsTar;
    case v1::IMAGE_FORMAT_ROOTFS_DIRECTORY:
      return ImageFormat::kRootfsDirectory;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("format: unknown value ", static_cast<int>(format)));
  }
}

absl::Status CheckReference(const std::string& image) {
  if (!image.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("image: is required");
}

// Unique: a name belongs to one image.
std::string SortKey(const Image& image) {
  return image.names.empty() ? image.id : image.names.front();
}

bool Uses(const Pod& pod, const std::string& image_id) {
  if (pod.root_image_id == image_id) return true;
  return std::any_of(
      pod.status.apps.begin(), pod.status.apps.end(),
      [&](const AppState& app) { return app.image_id == image_id; });
}

class ImageService final : public v1::ImageService::Service {
 public:
  ImageService(ImageStore* images, PodManager* manager)
      : images_(*images), manager_(*manager) {}

  grpc::Status Import(ServerContext* context, const v1::ImportRequest* request,
                      v1::ImportResponse* response) override {
    return ToGrpcStatus([&]() -> absl::Status {
      if (!absl::StartsWith(request->path(), "/")) {
        return absl::InvalidArgumentError(absl::StrCat(
            "path: \"", request->path(), "\" is not an absolute path"));
      }
      ImportRequest import;
      import.path = request->path();
      import.name = request->name();
      ASSIGN_OR_RETURN(import.format, FormatOf(request->format()));
      import.progress = [context](uint64_t) { return !context->IsCancelled(); };
      ASSIGN_OR_RETURN(std::vector<Image> images, images_.Import(import));
      for (const Image& image : images) ToProto(image, response->add_images());
      return absl::OkStatus();
  }());
}

grpc::Status
List(ServerContext*, const v1::ListImagesRequest* request,
     v1::ListImagesResponse* response) override {
  return ToGrpcStatus([&]() -> absl::Status {
    ASSIGN_OR_RETURN(size_t size, PageSize(request->page_size()));
    std::vector<Image> images = images_.List();
    std::sort(images.begin(), images.end(), [](const Image& a, const Image& b) {
      return SortKey(a) < SortKey(b);
    });
    Page<Image> page =
        TakePage(std::move(images), request->page_token(), size, SortKey);
    for (const Image& image : page.items) {
      ToProto(image, response->add_images());
    }
    response->set_next_page_token(page.last_key);
    return absl::OkStatus();
  }());
}

grpc::Status Get(ServerContext*, const v1::GetImageRequest* request,
                 v1::GetImageResponse* response) override {
  return ToGrpcStatus([&]() -> absl::Status {
    RETURN_IF_ERROR(CheckReference(request->image()));
    ASSIGN_OR_RETURN(Image image, images_.Get(request->image()));
    ToProto(image, response->mutable_image());
    return absl::OkStatus();
  }());
}

grpc::Status Remove(ServerContext*, const v1::RemoveImageRequest* request,
                    v1::RemoveImageResponse* response) override {
  return ToGrpcStatus([&]() -> absl::Status {
    RETURN_IF_ERROR(CheckReference(request->image()));
    ASSIGN_OR_RETURN(Image before, images_.Get(request->image()));
    absl::Status removed = images_.Remove(request->image());
    if (absl::IsFailedPrecondition(removed)) {
      return NameTheUser(removed, request->image(), before.id);
    }
    RETURN_IF_ERROR(removed);
    ListWhatIsGone(before, response);
    return absl::OkStatus();
  }());
}

private:
absl::Status NameTheUser(const absl::Status& status, const std::string& image,
                         const std::string& id) {
  for (const Pod& pod : manager_.List().pods) {
    if (!Uses(pod, id)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "image \"", image, "\" is used by pod \"", pod.spec.name, "\""));
  }
  return status;
}

void ListWhatIsGone(const Image& before, v1::RemoveImageResponse* response) {
  absl::StatusOr<Image> after = images_.Get(before.id);
  std::vector<std::string> left;
  if (after.ok()) left = after->names;
  for (const std::string& name : before.names) {
    if (std::find(left.begin(), left.end(), name) == left.end()) {
      response->add_removed(name);
    }
  }
  if (!after.ok()) response->add_removed(before.id);
}

ImageStore& images_;
PodManager& manager_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewImageService(ImageStore* images,
                                               PodManager* manager) {
  return std::make_unique<ImageService>(images, manager);
}

}  // namespace davit
