// davitctl version, davitctl info
#include "runtime/base/version.h"

#include <string>

#include "CLI/CLI.hpp"
#include "cli/command.h"
#include "cli/output.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

absl::StatusOr<int> Version(Context& context, bool client_only) {
  context.out << "Client Version: " << kDavitVersion << "\n";
  if (client_only) return 0;
  v1::GetVersionResponse version;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().node().GetVersion(&rpc, {}, &version)));
  context.out << "Server Version: " << version.version() << " ("
              << version.api_version() << ", commit " << version.git_commit()
              << ", gRPC " << version.grpc_version() << ")\n";
  return 0;
}

absl::StatusOr<int> Info(Context& context) {
  v1::GetInfoResponse info;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().node().GetInfo(&rpc, {}, &info)));
  ASSIGN_OR_RETURN(Json json, ToJson(info));
  context.out << ToYaml(json);
  return 0;
}

}  // namespace

void AddVersionCommand(CLI::App& app, Context& context) {
  auto client_only = std::make_shared<bool>(false);
  CLI::App* version =
      app.add_subcommand("version", "Versions of this client and the agent");
  version->add_flag("--client", *client_only, "do not ask the agent");
  version->callback([&context, client_only] {
    context.action = [&context, client_only] {
      return Version(context, *client_only);
    };
  });
  CLI::App* info = app.add_subcommand(
      "info", "The node: machine, networks, what the agent recovered");
  info->callback(
      [&context] { context.action = [&context] { return Info(context); }; });
}

}  // namespace davit::cli
