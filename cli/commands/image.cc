// davitctl image import|rm
#include <limits.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/output.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct ImportFlags {
  std::string path, name, format = "auto";
};

absl::StatusOr<v1::ImageFormat> ParseFormat(const std::string& word) {
  static const auto& formats = *new std::map<std::string, v1::ImageFormat>{
      {"auto", v1::IMAGE_FORMAT_UNSPECIFIED},
      {"oci-layout", v1::IMAGE_FORMAT_OCI_LAYOUT},
      {"oci-archive", v1::IMAGE_FORMAT_OCI_ARCHIVE},
      {"docker-archive", v1::IMAGE_FORMAT_DOCKER_ARCHIVE},
      {"tar", v1::IMAGE_FORMAT_ROOTFS_TAR},
      {"dir", v1::IMAGE_FORMAT_ROOTFS_DIRECTORY},
  };
  auto found = formats.find(word);
  if (found != formats.end()) return found->second;
  return LocalError(absl::StrCat("--format \"", word,
                                 "\": must be auto, oci-layout, oci-archive, "
                                 "docker-archive, tar or dir"));
}

absl::StatusOr<int> Import(Context& context, const ImportFlags& flags) {
  char absolute[PATH_MAX];
  if (realpath(flags.path.c_str(), absolute) == nullptr) {
    return ErrnoError("%s", flags.path);
  }
  v1::ImportRequest request;
  request.set_path(absolute);
  request.set_name(flags.name);
  ASSIGN_OR_RETURN(v1::ImageFormat format, ParseFormat(flags.format));
  request.set_format(format);
  v1::ImportResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().images().Import(&rpc, request, &response)));
  for (const v1::Image& image : response.images()) {
    context.out << "image/"
                << (image.names_size() > 0 ? absl::StrJoin(image.names(), ",")
                                           : image.id())
                << " imported (" << image.id() << ", "
                << HumanBytes(image.size_bytes()) << ")\n";
  }
  return 0;
}

absl::StatusOr<int> Remove(Context& context,
                           const std::vector<std::string>& images) {
  int code = 0;
  for (const std::string& image : images) {
    v1::RemoveImageRequest request;
    request.set_image(image);
    v1::RemoveImageResponse response;
    grpc::ClientContext rpc;
    absl::Status status = context.client().ToStatus(
        context.client().images().Remove(&rpc, request, &response));
    if (status.ok()) {
      context.out << "image \"" << image << "\" deleted\n";
    } else {
      context.err << ErrorForPeople(status) << "\n";
      code = 1;
    }
  }
  return code;
}

}  // namespace

void AddImageCommand(CLI::App& app, Context& context) {
  CLI::App* image = app.add_subcommand("image", "Import and remove images");
  image->require_subcommand(1);
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* import = image->add_subcommand(
      "import", "Import an OCI or docker image, or a root file system");
  import->add_option("PATH", flags->path, "a file or directory")->required();
  import->add_option("--name", flags->name, "its name, e.g. web:1.0");
  import
      ->add_option("--format", flags->format,
                   "auto, oci-layout, oci-archive, docker-archive, tar, dir")
      ->capture_default_str();
  import->callback([&context, flags] {
    context.action = [&context, flags] { return Import(context, *flags);
};
}  // namespace davit::cli
);
auto images = std::make_shared<std::vector<std::string>>();
CLI::App* remove = image->add_subcommand("rm", "Remove images");
remove->add_option("IMAGE", *images, "names or ids")->required();
remove->callback([&context, images] {
  context.action = [&context, images] { return Remove(context, *images); };
});
}

}  // namespace davit::cli
