// davitctl set resources POD [--limits cpu=1,memory=1Gi] [--requests …]
// davitctl pause|unpause POD...
// davitctl top [pods] [POD...]
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_names.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

// How long "top" looks at the pods' CPU time.
constexpr absl::Duration kSample = absl::Seconds(1);

// --- set resources ---

struct SetFlags {
  std::string pod, app, limits, requests;
};

absl::Status ReadQuantities(
    const std::string& flag, const std::string& text,
    google::protobuf::Map<std::string, std::string>& to) {
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(text, ',', absl::SkipEmpty()))) {
    std::vector<std::string> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.size() != 2 || pair[0].empty() || pair[1].empty()) {
      return LocalError(
          absl::StrCat("--", flag, " \"", part, "\": is not NAME=QUANTITY"));
    }
    to[pair[0]] = pair[1];
  }
  return absl::OkStatus();
}

absl::StatusOr<int> SetResources(Context& context, const SetFlags& flags) {
  v1::UpdatePodResourcesRequest request;
  request.set_pod(PodName(flags.pod));
  request.set_app(flags.app);
  RETURN_IF_ERROR(ReadQuantities(
      "limits", flags.limits, *request.mutable_resources()->mutable_limits()));
  RETURN_IF_ERROR(
      ReadQuantities("requests", flags.requests,
                     *request.mutable_resources()->mutable_requests()));
  if (flags.limits.empty() && flags.requests.empty()) {
    return LocalError("what? --limits or --requests is needed");
  }
  v1::UpdatePodResourcesResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().UpdatePodResources(&rpc, request, &response)));
  context.out << "pod/" << response.pod().metadata().name()
              << " resource requirements updated\n";
  return 0;
}

// --- pause ---

absl::StatusOr<int> Pause(Context& context,
                          const std::vector<std::string>& words, bool pause) {
  for (const std::string& pod : PodNames(words)) {
    grpc::ClientContext rpc;
    if (pause) {
      v1::PausePodRequest request;
      request.set_pod(pod);
      v1::PausePodResponse response;
      RETURN_IF_ERROR(context.client().ToStatus(
          context.client().pods().PausePod(&rpc, request, &response)));
    } else {
      v1::UnpausePodRequest request;
      request.set_pod(pod);
      v1::UnpausePodResponse response;
      RETURN_IF_ERROR(context.client().ToStatus(
          context.client().pods().UnpausePod(&rpc, request, &response)));
    }
    context.out << "pod/" << pod << (pause ? " paused\n" : " unpaused\n");
  }
  return 0;
}

// --- top ---

struct Sample {
  v1::PodUsage usage;
  absl::Time at;
};

absl::StatusOr<std::vector<std::string>> RunningPods(Context& context) {
  std::vector<std::string> names;
  v1::ListPodsRequest request;
  do {
    grpc::ClientContext rpc;
    v1::ListPodsResponse page;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().ListPods(&rpc, request, &page)));
    for (const v1::Pod& pod : page.pods()) {
      if (pod.status().state() == v1::POD_STATE_RUNNING) {
        names.push_back(pod.metadata().name());
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return names;
}

// A pod that has ended meanwhile uses nothing.
absl::StatusOr<Sample> TakeSample(Context& context, const std::string& name) {
  v1::GetPodRequest request;
  request.set_pod(name);
  v1::GetPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().GetPod(&rpc, request, &response)));
  return Sample{response.pod().status().usage(), absl::Now()};
}

std::string Cores(const Sample& before, const Sample& after) {
  if (!before.usage.has_cpu_usec() || !after.usage.has_cpu_usec()) {
    return "<unknown>";
  }
  double used = static_cast<double>(after.usage.cpu_usec()) -
                static_cast<double>(before.usage.cpu_usec());
  double passed = absl::ToDoubleMicroseconds(after.at - before.at);
  return absl::StrFormat("%.0fm", passed > 0 ? 1000 * used / passed : 0);
}

std::string Throttled(const v1::PodUsage& usage) {
  if (usage.cpu_periods() == 0) return "0%";
  return absl::StrFormat(
      "%d%%", 100 * usage.cpu_throttled_periods() / usage.cpu_periods());
}

std::string PressureOf(bool told, const v1::PodPressure& pressure) {
  return told ? absl::StrFormat("%.1f%%", pressure.some_avg10()) : "<unknown>";
}

std::vector<std::string> Row(const std::string& name, const Sample& before,
                             const Sample& after) {
  const v1::PodUsage& usage = after.usage;
  auto bytes = [](bool told, int64_t value) -> std::string {
    return told ? HumanBytes(static_cast<uint64_t>(value)) : "<unknown>";
  };
  return {name,
          Cores(before, after),
          bytes(usage.has_memory_bytes(), usage.memory_bytes()),
          bytes(usage.has_memory_peak_bytes(), usage.memory_peak_bytes()),
          absl::StrCat(usage.tasks()),
          Throttled(usage),
          PressureOf(usage.has_cpu_pressure(), usage.cpu_pressure()),
          PressureOf(usage.has_memory_pressure(), usage.memory_pressure()),
          PressureOf(usage.has_io_pressure(), usage.io_pressure())};
}

absl::StatusOr<int> Top(Context& context,
                        const std::vector<std::string>& words) {
  std::vector<std::string> names = PodNames(words);
  if (names.empty()) {
    ASSIGN_OR_RETURN(names, RunningPods(context));
  }
  std::map<std::string, Sample> before;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(before[name], TakeSample(context, name));
  }
  absl::SleepFor(kSample);
  Table table({"NAME", "CPU(cores)", "MEMORY", "PEAK", "TASKS", "THROTTLED",
               "CPU-WAIT", "MEM-WAIT", "IO-WAIT"});
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(Sample after, TakeSample(context, name));
    table.AddRow(Row(name, before[name], after));
  }
  table.Print(context.out);
  return 0;
}

void AddSet(CLI::App& app, Context& context) {
  auto flags = std::make_shared<SetFlags>();
  CLI::App* set = app.add_subcommand("set", "Change a pod where it runs");
  set->require_subcommand(1);
  CLI::App* resources = set->add_subcommand(
      "resources", "Change limits and requests, \"0\" takes one away");
  resources->add_option("POD", flags->pod, "the pod")->required();
  resources->add_option("-c,--container,--app", flags->app,
                        "of this app instead of the whole pod");
  resources->add_option("--limits", flags->limits, "cpu=500m,memory=256Mi");
  resources->add_option("--requests", flags->requests, "cpu=100m");
  resources->callback([&context, flags] {
    context.action = [&context, flags] {
      return SetResources(context, *flags);
    };
  });
}

void AddPause(CLI::App& app, Context& context, bool pause) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command =
      pause ? app.add_subcommand("pause",
                                 "Stop all processes of pods where they are")
            : app.add_subcommand("unpause", "Let paused pods go on");
  command->add_option("POD", *words, "the pods")->required();
  command->callback([&context, words, pause] {
    context.action = [&context, words, pause] {
      return Pause(context, *words, pause);
    };
  });
}

}  // namespace

void AddLiveCommands(CLI::App& app, Context& context) {
  AddSet(app, context);
  AddPause(app, context, true);
  AddPause(app, context, false);
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* top = app.add_subcommand(
      "top", "What running pods use now, and how long they wait for it");
  top->add_option("POD", *words, "the pods, default: all that run");
  top->callback([&context, words] {
    context.action = [&context, words] { return Top(context, *words); };
  });
}

}  // namespace davit::cli
