// davitctl network check POD, davitctl node gc
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_names.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

// Exit code 1 if a check found something.
absl::StatusOr<int> CheckPod(Context& context, const std::string& pod) {
  v1::CheckPodRequest request;
  request.set_pod(PodName(pod));
  v1::CheckPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().networks().CheckPod(&rpc, request, &response)));
  if (response.checks().empty()) {
    context.err << "The pod has no networks.\n";
    return 0;
  }
  int code = 0;
  Table table({"NETWORK", "INTERFACE", "STATUS"});
  for (const v1::NetworkCheck& check : response.checks()) {
    table.AddRow({check.network(), check.interface(),
                  check.error().empty() ? "OK" : check.error()});
    if (!check.error().empty()) code = 1;
  }
  table.Print(context.out);
  return code;
}

// Exit code 1 if something could not be removed.
absl::StatusOr<int> CollectGarbage(Context& context, bool dry_run) {
  v1::CollectGarbageRequest request;
  request.set_dry_run(dry_run);
  v1::CollectGarbageResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().node().CollectGarbage(&rpc, request, &response)));
  int code = 0;
  for (const v1::GarbageItem& item : response.items()) {
    std::string what = item.kind();
    if (!item.name().empty()) absl::StrAppend(&what, " \"", item.name(), "\"");
    if (!item.error().empty()) {
      context.err << "error: " << what << ": " << item.error() << "\n";
      code = 1;
      continue;
    }
    context.out << what << " removed" << (dry_run ? " (dry run)" : "") << ": "
                << item.reason() << "\n";
  }
  if (response.items().empty()) context.err << "Nothing to remove.\n";
  return code;
}

}  // namespace

void AddNetworkCommand(CLI::App& app, Context& context) {
  CLI::App* network = app.add_subcommand(
      "network", "Look into the networks of pods (see also: get networks)");
  network->require_subcommand(1);
  auto pod = std::make_shared<std::string>();
  CLI::App* check = network->add_subcommand(
      "check", "Check that a pod still has all that its networks gave it");
  check->add_option("POD", *pod, "the pod")->required();
  check->callback([&context, pod] {
    context.action = [&context, pod] { return CheckPod(context, *pod); };
  });
}

void AddNodeCommand(CLI::App& app, Context& context) {
  CLI::App* node =
      app.add_subcommand("node", "Look after the node (see also: info)");
  node->require_subcommand(1);
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* gc = node->add_subcommand(
      "gc", "Remove what was made for pods and belongs to none");
  gc->add_flag("--dry-run", *dry_run,
               "remove nothing, only tell what would be");
  gc->callback([&context, dry_run] {
    context.action = [&context, dry_run] {
      return CollectGarbage(context, *dry_run);
    };
  });
}

}  // namespace davit::cli
