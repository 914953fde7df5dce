// davitctl run NAME --image IMAGE [-- ARGS...]
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct RunFlags {
  std::string name, image, restart = "Always", root_image, working_dir;
  std::string hostname;
  std::vector<std::string> env, labels, networks, command_line;
  std::vector<int> ports;
  bool command = false, host_network = false, privileged = false;
  bool create_only = false;
};

absl::StatusOr<std::pair<std::string, std::string>> SplitPair(
    const std::string& flag, const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return LocalError(absl::StrCat(flag, " \"", text, "\": must be KEY=VALUE"));
  }
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::Status FillApp(const RunFlags& flags, v1::Container* app) {
  app->set_name(flags.name);
  app->set_image(flags.image);
  app->set_working_dir(flags.working_dir);
  auto* line = flags.command ? app->mutable_command() : app->mutable_args();
  line->Add(flags.command_line.begin(), flags.command_line.end());
  for (const std::string& text : flags.env) {
    ASSIGN_OR_RETURN(auto pair, SplitPair("--env", text));
    v1::EnvVar* variable = app->add_env();
    variable->set_name(pair.first);
    variable->set_value(pair.second);
  }
  for (int port : flags.ports) app->add_ports()->set_container_port(port);
  if (flags.privileged) {
    app->mutable_security_context()->set_privileged(true);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Pod> BuildPod(const RunFlags& flags) {
  v1::Pod pod;
  pod.set_api_version("v1");
  pod.set_kind("Pod");
  pod.mutable_metadata()->set_name(flags.name);
  for (const std::string& text : flags.labels) {
    ASSIGN_OR_RETURN(auto pair, SplitPair("--labels", text));
    (*pod.mutable_metadata()->mutable_labels())[pair.first] = pair.second;
  }
  v1::PodSpec* spec = pod.mutable_spec();
  spec->set_restart_policy(flags.restart);
  spec->set_hostname(flags.hostname);
  spec->set_host_network(flags.host_network);
  spec->set_root_image(flags.root_image);
  spec->mutable_networks()->Add(flags.networks.begin(), flags.networks.end());
  if (flags.image.empty() && flags.root_image.empty()) {
    return LocalError("required: --image, or --root-image for a machine");
  }
  if (!flags.image.empty()) {
    RETURN_IF_ERROR(FillApp(flags, spec->add_containers()));
  } else if (!flags.command_line.empty()) {
    return LocalError("a command needs an app: give --image");
  }
  return pod;
}

absl::StatusOr<int> Run(Context& context, const RunFlags& flags) {
  ASSIGN_OR_RETURN(v1::Pod pod, BuildPod(flags));
  grpc::ClientContext rpc;
  if (flags.create_only) {
    v1::CreatePodRequest request;
    *request.mutable_pod() = std::move(pod);
    v1::CreatePodResponse response;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().CreatePod(&rpc, request, &response)));
  } else {
    v1::RunPodRequest request;
    *request.mutable_pod() = std::move(pod);
    v1::RunPodResponse response;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().RunPod(&rpc, request, &response)));
  }
  context.out << "pod/" << flags.name << " created\n";
  return 0;
}

}  // namespace

void AddRunCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* run = app.add_subcommand("run", "Run an image in a new pod");
  run->add_option("NAME", flags->name, "the pod's name")->required();
  run->add_option("--image", flags->image, "the app's image");
  run->add_option("--root-image", flags->root_image,
                  "the image whose systemd is PID 1 (default: stage1); without "
                  "--image the pod is a machine");
  run->add_option("--env,-e", flags->env, "KEY=VALUE, repeatable")
      ->allow_extra_args(false);
  run->add_option("--labels,-l", flags->labels, "KEY=VALUE, comma-separated")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--restart", flags->restart, "Always, OnFailure or Never")
      ->capture_default_str();
  run->add_option("--network", flags->networks,
                  "networks to join, comma-separated; \"none\" for none")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_flag("--host-network", flags->host_network,
                "join the node's own network");
  run->add_option("--port", flags->ports, "a port that the app serves")
      ->allow_extra_args(false);
  run->add_option("--hostname", flags->hostname, "default: the pod's name");
  run->add_option("--workdir,-w", flags->working_dir, "working directory");
  run->add_flag("--privileged", flags->privileged,
                "all capabilities that the pod has");
  run->add_flag("--command", flags->command,
                "the words after -- replace the image's entry point, too");
  run->add_flag("--create-only", flags->create_only, "do not start it");
  run->add_option("ARGS", flags->command_line, "after --: the app's arguments");
  run->callback([&context, flags] {
    context.action = [&context, flags] { return Run(context, *flags); };
  });
}

}  // namespace davit::cli
