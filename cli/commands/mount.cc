// davitctl mount POD --source DIR --target DIR
// davitctl umount POD --target DIR [--force]
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/pod_names.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct MountFlags {
  std::string pod, app, source, target;
  bool read_only = false, force = false;
};

absl::StatusOr<int> Mount(Context& context, const MountFlags& flags) {
  v1::MountVolumeRequest request;
  request.set_pod(PodName(flags.pod));
  request.set_app(flags.app);
  // The agent has another working directory.
  std::error_code error;
  request.set_source(std::filesystem::absolute(flags.source, error).string());
  if (error) return LocalError(absl::StrCat("--source: ", error.message()));
  request.set_target(flags.target);
  request.set_read_only(flags.read_only);
  v1::MountVolumeResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().MountVolume(&rpc, request, &response)));
  context.out << request.source() << " mounted at " << flags.target << "\n";
  return 0;
}

absl::StatusOr<int> Unmount(Context& context, const MountFlags& flags) {
  v1::UnmountVolumeRequest request;
  request.set_pod(PodName(flags.pod));
  request.set_app(flags.app);
  request.set_target(flags.target);
  request.set_force(flags.force);
  v1::UnmountVolumeResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().UnmountVolume(&rpc, request, &response)));
  context.out << flags.target << " unmounted\n";
  return 0;
}

void AddCommonFlags(CLI::App* command, MountFlags& flags) {
  command->add_option("POD", flags.pod, "the pod")->required();
  command->add_option("--target", flags.target, "absolute, in the pod")
      ->required();
  command->add_option("-c,--container,--app", flags.app,
                      "the target is in the root of this app");
}

}  // namespace

void AddMountCommands(CLI::App& app, Context& context) {
  auto flags = std::make_shared<MountFlags>();
  CLI::App* mount = app.add_subcommand(
      "mount", "Show a directory or file of the node in a running pod");
  AddCommonFlags(mount, *flags);
  mount->add_option("--source", flags->source, "on the node")->required();
  mount->add_flag("--read-only", flags->read_only, "nothing can be changed");
  mount->callback([&context, flags] {
    context.action = [&context, flags] { return Mount(context, *flags); };
  });
  CLI::App* umount =
      app.add_subcommand("umount", "Take away what was mounted into a pod");
  AddCommonFlags(umount, *flags);
  umount->add_flag("--force", flags->force,
                   "also while the pod uses it, which then keeps what it has "
                   "open");
  umount->callback([&context, flags] {
    context.action = [&context, flags] { return Unmount(context, *flags); };
  });
}

}  // namespace davit::cli
