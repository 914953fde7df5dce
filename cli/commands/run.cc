// davitctl run NAME --image IMAGE [-- ARGS...]
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct RunFlags {
  std::string name, image, restart = "Always", root_image, working_dir;
  std::string hostname;
  std::string subdomain;
  std::vector<std::string> env, labels, annotations, networks, command_line;
  std::vector<std::string> ports, dns, dns_searches, dns_options, add_hosts;
  bool command = false, host_network = false, privileged = false;
  std::string memory, cpus;
  bool create_only = false;
  std::optional<bool> host_users;
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
  for (const std::string& port : flags.ports) {
    RETURN_IF_ERROR(AddPort(port, app));
  }
  if (flags.privileged) {
    app->mutable_security_context()->set_privileged(true);
  }
  return absl::OkStatus();
}

absl::Status FillNetwork(const RunFlags& flags, v1::PodSpec* spec) {
  spec->set_hostname(flags.hostname);
  spec->set_subdomain(flags.subdomain);
  spec->set_host_network(flags.host_network);
  RETURN_IF_ERROR(AddNetworks(flags.networks, spec));
  for (const std::string& host : flags.add_hosts) {
    RETURN_IF_ERROR(AddHost(host, spec));
  }
  if (flags.dns.empty() && flags.dns_searches.empty() &&
      flags.dns_options.empty()) {
    return absl::OkStatus();
  }
  // As with docker: who names servers wants no others.
  if (!flags.dns.empty()) spec->set_dns_policy("None");
  v1::PodDNSConfig* dns = spec->mutable_dns_config();
  dns->mutable_nameservers()->Add(flags.dns.begin(), flags.dns.end());
  dns->mutable_searches()->Add(flags.dns_searches.begin(),
                               flags.dns_searches.end());
  for (const std::string& text : flags.dns_options) {
    v1::PodDNSConfigOption* option = dns->add_options();
    size_t colon = text.find(':');
    option->set_name(text.substr(0, colon));
    if (colon != text.npos) option->set_value(text.substr(colon + 1));
  }
  return absl::OkStatus();
}

void FillLimits(const RunFlags& flags, v1::PodSpec* spec) {
  auto set = [spec](const std::string& name, const std::string& quantity) {
    if (quantity.empty()) return;
    (*spec->mutable_resources()->mutable_limits())[name] = quantity;
  };
  set("memory", flags.memory);
  set("cpu", flags.cpus);
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
  for (const std::string& text : flags.annotations) {
    ASSIGN_OR_RETURN(auto pair, SplitPair("--annotations", text));
    (*pod.mutable_metadata()->mutable_annotations())[pair.first] = pair.second;
  }
  v1::PodSpec* spec = pod.mutable_spec();
  spec->set_restart_policy(flags.restart);
  spec->set_root_image(flags.root_image);
  FillLimits(flags, spec);
  if (flags.host_users) spec->set_host_users(*flags.host_users);
  RETURN_IF_ERROR(FillNetwork(flags, spec));
  if (flags.image.empty() && flags.root_image.empty()) {
    return LocalError("required: --image, or --root-image for a machine");
  }
  if (!flags.image.empty()) {
    RETURN_IF_ERROR(FillApp(flags, spec->add_containers()));
  } else if (!flags.command_line.empty()) {
    return LocalError("a command needs an app: give --image");
  } else if (!flags.ports.empty()) {
    return LocalError("--port needs an app: give --image");
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

void AddNetworkFlags(CLI::App* run, RunFlags& flags) {
  run->add_option("--network,--net", flags.networks,
                  "networks to join as eth0, eth1, ..., comma-separated or "
                  "repeated, with arguments after a colon: "
                  "a,b:ips=10.1.2.3,mac=02:00:00:00:00:01; also alias=, "
                  "interface=, host-interface=, systemd-names=true; \"none\" "
                  "for none, \"host\" for the node's own")
      ->allow_extra_args(false);
  run->add_flag("--host-network", flags.host_network,
                "join the node's own network");
  run->add_option("--port,-p", flags.ports,
                  "a port that the app serves; with a port of the node that "
                  "leads to it: [[HOST_IP:]HOST_PORT:]PORT[/tcp|udp|sctp], "
                  "repeatable")
      ->allow_extra_args(false);
  run->add_option("--hostname", flags.hostname, "default: the pod's name");
  run->add_option("--subdomain", flags.subdomain,
                  "the pod is also HOSTNAME.SUBDOMAIN in its /etc/hosts");
  run->add_option("--dns", flags.dns,
                  "a name server instead of the network's or the node's, "
                  "repeatable")
      ->allow_extra_args(false);
  run->add_option("--dns-search", flags.dns_searches, "a search domain")
      ->allow_extra_args(false);
  run->add_option("--dns-option", flags.dns_options, "NAME or NAME:VALUE")
      ->allow_extra_args(false);
  run->add_option("--add-host", flags.add_hosts,
                  "NAME:IP, a line for the pod's /etc/hosts, repeatable")
      ->allow_extra_args(false);
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
  run->add_option("--annotations", flags->annotations, "KEY=VALUE, repeatable")
      ->allow_extra_args(false);
  AddNetworkFlags(run, *flags);
  run->add_option("--workdir,-w", flags->working_dir, "working directory");
  run->add_option("--memory", flags->memory,
                  "of the whole pod at most, \"256Mi\"; at least 16Mi");
  run->add_option("--cpus", flags->cpus,
                  "CPU time of the whole pod at most, in cores, \"1.5\"");
  auto* host_users = run->add_flag_callback(
      "--host-users", [flags] { flags->host_users = true; },
      "use the node's users, also if the agent's default is another");
  run->add_flag_callback(
         "--no-host-users", [flags] { flags->host_users = false; },
         "give the pod users of its own, by a user namespace")
      ->excludes(host_users);
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
