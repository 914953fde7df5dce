// davitctl apply -f FILE
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/manifest.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

absl::StatusOr<std::string> ReadInput(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
  }
  return ReadFile(file);
}

// Runs the pod, or finds it there as wanted.
absl::StatusOr<std::string> ApplyPod(Client& client, const v1::Pod& pod) {
  v1::GetPodRequest get;
  get.set_pod(pod.metadata().name());
  v1::GetPodResponse existing;
  grpc::ClientContext get_rpc;
  absl::Status found =
      client.ToStatus(client.pods().GetPod(&get_rpc, get, &existing));
  if (found.ok()) {
    RETURN_IF_ERROR(CheckUnchanged(pod, existing.pod()));
    return "unchanged";
  }
  if (!absl::IsNotFound(found)) return found;
  v1::RunPodRequest request;
  *request.mutable_pod() = pod;
  v1::RunPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(
      client.ToStatus(client.pods().RunPod(&rpc, request, &response)));
  return "created";
}

absl::StatusOr<int> Apply(Context& context,
                          const std::vector<std::string>& files) {
  std::vector<v1::Pod> pods;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string text, ReadInput(file));
    ASSIGN_OR_RETURN(std::vector<v1::Pod> parsed, ParseManifest(text), file);
    pods.insert(pods.end(), parsed.begin(), parsed.end());
  }
  int code = 0;
  for (const v1::Pod& pod : pods) {
    const std::string& name = pod.metadata().name();
    absl::StatusOr<std::string> outcome = ApplyPod(context.client(), pod);
    if (outcome.ok()) {
      context.out << "pod/" << name << " " << *outcome << "\n";
    } else {
      context.err << ErrorForPeople(Annotate(
                         outcome.status(), absl::StrCat("pod \"", name, "\"")))
                  << "\n";
      code = 1;
    }
  }
  return code;
}

}  // namespace

void AddApplyCommand(CLI::App& app, Context& context) {
  auto files = std::make_shared<std::vector<std::string>>();
  CLI::App* apply =
      app.add_subcommand("apply", "Run the pods of a manifest (YAML or JSON)");
  apply->add_option("-f,--filename", *files, "a file, or - for standard input")
      ->required()
      ->allow_extra_args(false);
  apply->callback([&context, files] {
    context.action = [&context, files] { return Apply(context, *files); };
  });
}

}  // namespace davit::cli
