// davitctl start|stop|delete
#include <algorithm>
#include <atomic>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/command.h"
#include "cli/manifest.h"
#include "cli/pod_names.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct LifecycleFlags {
  std::vector<std::string> pods;
  std::string file, selector;
  int64_t grace = -1;
  bool all = false, now = false, force = false, ignore_not_found = false;
};

// All pods with these labels, "KEY=VALUE,…"; all if it is empty.
absl::StatusOr<std::vector<std::string>> AllPods(Context& context,
                                                 const std::string& selector) {
  std::vector<std::string> names;
  v1::ListPodsRequest request;
  for (absl::string_view part :
       absl::StrSplit(selector, ',', absl::SkipEmpty())) {
    size_t equals = part.find('=');
    if (equals == part.npos || equals == 0) {
      return LocalError(absl::StrCat("--selector \"", part,
                                     "\": only KEY=VALUE is supported"));
    }
    (*request.mutable_label_selector())[std::string(part.substr(0, equals))] =
        std::string(absl::StripPrefix(part.substr(equals + 1), "="));
  }
  do {
    grpc::ClientContext rpc;
    v1::ListPodsResponse page;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().ListPods(&rpc, request, &page)));
    for (const v1::Pod& pod : page.pods()) {
      names.push_back(pod.metadata().name());
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return names;
}

absl::StatusOr<std::vector<std::string>> NamesOfFile(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    ASSIGN_OR_RETURN(text, ReadFile(file));
  }
  ASSIGN_OR_RETURN(std::vector<v1::Pod> pods, ParseManifest(text), file);
  std::vector<std::string> names;
  for (const v1::Pod& pod : pods) names.push_back(pod.metadata().name());
  return names;
}

absl::StatusOr<std::vector<std::string>> Selected(Context& context,
                                                  const LifecycleFlags& flags) {
  if (flags.all || !flags.selector.empty()) {
    return AllPods(context, flags.selector);
  }
  if (!flags.file.empty()) return NamesOfFile(flags.file);
  std::vector<std::string> names = PodNames(flags.pods);
  if (names.empty())
    return LocalError("which pod? name one, or use -l or --all");
  return names;
}

absl::Status StartOne(Context& context, const LifecycleFlags&,
                      const std::string& pod) {
  v1::StartPodRequest request;
  request.set_pod(pod);
  v1::StartPodResponse response;
  grpc::ClientContext rpc;
  return context.client().ToStatus(
      context.client().pods().StartPod(&rpc, request, &response));
}

absl::Status StopOne(Context& context, const LifecycleFlags& flags,
                     const std::string& pod) {
  v1::StopPodRequest request;
  request.set_pod(pod);
  if (flags.grace >= 0) request.set_grace_period_seconds(flags.grace);
  v1::StopPodResponse response;
  grpc::ClientContext rpc;
  return context.client().ToStatus(
      context.client().pods().StopPod(&rpc, request, &response));
}

absl::Status DeleteOne(Context& context, const LifecycleFlags& flags,
                       const std::string& pod) {
  v1::RemovePodRequest request;
  request.set_pod(pod);
  int64_t grace = flags.force ? 0 : flags.now ? 1 : flags.grace;
  if (grace >= 0) request.set_grace_period_seconds(grace);
  v1::RemovePodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().RemovePod(&rpc, request, &response)));
  if (response.missing() && !flags.ignore_not_found) {
    return context.client().ToStatus(
        grpc::Status(grpc::StatusCode::NOT_FOUND,
                     absl::StrCat("pods \"", pod, "\" not found")));
  }
  return absl::OkStatus();
}

using OneFunction = absl::Status (*)(Context&, const LifecycleFlags&,
                                     const std::string&);

// Many at once: for the agent that is cheaper than one after the other.
constexpr size_t kAtOnce = 64;

// Does it for each pod; one that fails does not stop the others.
absl::StatusOr<int> ForEach(Context& context, const LifecycleFlags& flags,
                            OneFunction one, const char* done) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, Selected(context, flags));
  context.client();  // made now, used by all threads
  std::vector<absl::Status> statuses(names.size());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(names.size(), kAtOnce); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < names.size(); at = next++) {
        statuses[at] = one(context, flags, names[at]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int code = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (statuses[i].ok()) {
      context.out << "pod \"" << names[i] << "\" " << done << "\n";
    } else {
      context.err << ErrorForPeople(statuses[i]) << "\n";
      code = 1;
    }
  }
  if (names.empty()) context.err << "No resources found.\n";
  return code;
}

CLI::App* AddCommand(CLI::App& app, Context& context,
                     std::shared_ptr<LifecycleFlags> flags, const char* name,
                     const char* help, OneFunction one, const char* done) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("POD", flags->pods, "pods: NAME..., or pod NAME...");
  command->add_flag("--all", flags->all, "all pods");
  command->add_option("-l,--selector", flags->selector,
                      "the pods with these labels: KEY=VALUE[,KEY=VALUE...]");
  command->add_option("-f,--filename", flags->file,
                      "the pods of a manifest; - for standard input");
  command->callback([&context, flags, one, done] {
    context.action = [&context, flags, one, done] {
      return ForEach(context, *flags, one, done);
    };
  });
  return command;
}

void AddGrace(CLI::App* command, LifecycleFlags& flags) {
  command->add_option("--grace-period,--grace", flags.grace,
                      "seconds between stop signal and kill; 0 kills at once");
}

}  // namespace

void AddLifecycleCommands(CLI::App& app, Context& context) {
  auto start = std::make_shared<LifecycleFlags>();
  AddCommand(app, context, start, "start", "Start pods that do not run",
             StartOne, "started");
  auto stop = std::make_shared<LifecycleFlags>();
  AddGrace(
      AddCommand(app, context, stop, "stop",
                 "Stop pods; their files and logs stay", StopOne, "stopped"),
      *stop);
  auto remove = std::make_shared<LifecycleFlags>();
  CLI::App* command =
      AddCommand(app, context, remove, "delete",
                 "Delete pods and all that is theirs", DeleteOne, "deleted");
  AddGrace(command, *remove);
  command->add_flag("--now", remove->now, "a grace period of one second");
  command->add_flag("--force", remove->force, "kill at once");
  command->add_flag("--ignore-not-found", remove->ignore_not_found,
                    "no error if there is no such pod");
}

}  // namespace davit::cli
