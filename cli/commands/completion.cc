// davitctl completion bash|zsh, and the hidden __complete that the scripts
// call.
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/command.h"

namespace davit::cli {
namespace {

constexpr char kBash[] =
    R"(# bash completion for davitctl: source <(davitctl completion bash)
_davitctl() {
  local IFS=$'\n'
  COMPREPLY=($(davitctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [ ${#COMPREPLY[@]} -eq 0 ]; then
    COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -F _davitctl davitctl
)";

constexpr char kZsh[] = R"(#compdef davitctl
# zsh completion for davitctl: source <(davitctl completion zsh)
_davitctl() {
  local -a candidates
  candidates=("${(@f)$(davitctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [ -n "${candidates[1]}" ]; then compadd -a candidates; else _files; fi
}
compdef _davitctl davitctl
)";

std::vector<std::string> PodNames(Context& context, const std::string& prefix) {
  v1::ListPodsResponse response;
  grpc::ClientContext rpc;
  rpc.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  std::vector<std::string> names;
  if (!context.client().pods().ListPods(&rpc, {}, &response).ok()) return names;
  for (const v1::Pod& pod : response.pods()) {
    names.push_back(absl::StrCat(prefix, pod.metadata().name()));
  }
  return names;
}

std::vector<std::string> NetworkNames(Context& context) {
  v1::ListNetworksResponse response;
  grpc::ClientContext rpc;
  rpc.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  std::vector<std::string> names;
  if (!context.client().networks().ListNetworks(&rpc, {}, &response).ok()) {
    return names;
  }
  for (const v1::Network& network : response.networks()) {
    names.push_back(network.name());
  }
  return names;
}

std::vector<std::string> ImageNames(Context& context) {
  v1::ListImagesResponse response;
  grpc::ClientContext rpc;
  rpc.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  std::vector<std::string> names;
  if (!context.client().images().List(&rpc, {}, &response).ok()) return names;
  for (const v1::Image& image : response.images()) {
    names.insert(names.end(), image.names().begin(), image.names().end());
  }
  return names;
}

std::vector<std::string> AppNames(Context& context, const std::string& pod) {
  v1::GetPodRequest request;
  request.set_pod(pod);
  v1::GetPodResponse response;
  grpc::ClientContext rpc;
  rpc.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  std::vector<std::string> names;
  if (!context.client().pods().GetPod(&rpc, request, &response).ok()) {
    return names;
  }
  for (const v1::Container& app : response.pod().spec().containers()) {
    names.push_back(app.name());
  }
  return names;
}

// The subcommand that the words before the last one lead to.
const CLI::App* FindCommand(const CLI::App& app,
                            const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : at->get_subcommands(nullptr)) {
      if (sub->get_name() == words[i]) next = sub;
    }
    if (next == nullptr) break;
    at = next;
  }
  return at;
}

std::vector<std::string> Subcommands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (!absl::StartsWith(sub->get_name(), "_"))
      names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> Flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options(nullptr)) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> Values(Context& context, const CLI::App& command,
                                const std::vector<std::string>& words) {
  const std::string& name = command.get_name();
  const std::string& before = words.size() > 1 ? words[words.size() - 2] : "";
  if (before == "-o" || before == "--output") {
    return {"json", "name", "wide", "yaml"};
  }
  if (before == "--restart") return {"Always", "Never", "OnFailure"};
  if (before == "--image" || before == "--root-image" || name == "rm") {
    return ImageNames(context);
  }
  if (before == "--network" || before == "--net") return NetworkNames(context);
  if (before == "-c" || before == "--container" || before == "--app") {
    for (size_t i = 1; i + 2 < words.size(); ++i) {
      if (!absl::StartsWith(words[i], "-")) return AppNames(context, words[i]);
    }
    return {};
  }
  if (name == "completion") return {"bash", "zsh"};
  if (name == "get" && words.size() == 2) return {"images", "networks", "pods"};
  if (name == "get" && words.size() > 2 &&
      absl::StartsWith(words[1], "image")) {
    return ImageNames(context);
  }
  if (name == "describe" && words.size() == 2) return {"network", "pod"};
  if ((name == "get" || name == "describe") && words.size() > 2 &&
      absl::StartsWith(words[1], "net")) {
    return NetworkNames(context);
  }
  for (const char* takes_pods :
       {"get", "describe", "logs", "exec", "shell", "attach", "start", "stop",
        "delete", "check", "port-forward", "mount", "umount", "pause",
        "unpause", "top", "resources"}) {
    if (name == takes_pods) return PodNames(context, "");
  }
  return {};
}

std::vector<std::string> Candidates(Context& context, const CLI::App& app,
                                    const std::vector<std::string>& words) {
  const CLI::App* command = FindCommand(app, words);
  if (absl::StartsWith(words.back(), "-")) return Flags(*command);
  std::vector<std::string> subcommands = Subcommands(*command);
  return subcommands.empty() ? Values(context, *command, words) : subcommands;
}

}  // namespace

void AddCompletionCommands(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = app.add_subcommand(
      "completion", "Print a completion script for bash or zsh");
  completion->add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&context, shell] {
    context.action = [&context, shell]() -> absl::StatusOr<int> {
      context.out << (*shell == "zsh" ? kZsh : kBash);
      return 0;
    };
  });
}

int CompleteWords(const CLI::App& app, Context& context,
                  std::vector<std::string> words) {
  if (words.empty()) words.push_back("");
  for (const std::string& candidate : Candidates(context, app, words)) {
    if (absl::StartsWith(candidate, words.back())) {
      context.out << candidate << "\n";
    }
  }
  return 0;
}

}  // namespace davit::cli
