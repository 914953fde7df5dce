// davitctl describe pod NAME
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_view.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

std::string Stamp(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "<none>";
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S %z", ToTime(time),
                          absl::LocalTimeZone());
}

void Line(std::ostream& out, int indent, absl::string_view key,
          absl::string_view value) {
  out << std::string(indent, ' ')
      << absl::StrFormat("%-*s", 18 - indent, absl::StrCat(key, ":")) << value
      << "\n";
}

template <typename Map>
void PrintMap(std::ostream& out, absl::string_view key, const Map& map) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : map) {
    lines.push_back(absl::StrCat(name, "=", value));
  }
  std::sort(lines.begin(), lines.end());
  Line(out, 0, key,
       lines.empty() ? "<none>"
                     : absl::StrJoin(lines, "\n" + std::string(18, ' ')));
}

void PrintHead(std::ostream& out, const v1::Pod& pod) {
  const v1::PodStatus& status = pod.status();
  Line(out, 0, "Name", pod.metadata().name());
  Line(out, 0, "UID", pod.metadata().uid());
  PrintMap(out, "Labels", pod.metadata().labels());
  PrintMap(out, "Annotations", pod.metadata().annotations());
  Line(out, 0, "Created", Stamp(pod.metadata().creation_timestamp()));
  Line(out, 0, "Start Time", Stamp(status.start_time()));
  if (status.finish_time().seconds() != 0) {
    Line(out, 0, "Finish Time", Stamp(status.finish_time()));
  }
  Line(out, 0, "Status", PodStatusWord(pod));
  Line(out, 0, "Phase", status.phase());
  if (!status.reason().empty()) Line(out, 0, "Reason", status.reason());
  if (!status.message().empty()) Line(out, 0, "Message", status.message());
  Line(out, 0, "Restart Policy", pod.spec().restart_policy());
  Line(out, 0, "Root Image",
       pod.spec().root_image().empty() ? "<stage1>" : pod.spec().root_image());
  if (!status.system_state().empty()) {
    Line(out, 0, "System State", status.system_state());
  }
}

void PrintMachine(std::ostream& out, const v1::PodStatus& status) {
  if (status.pid() != 0) Line(out, 0, "PID", absl::StrCat(status.pid()));
  if (!status.netns().empty()) Line(out, 0, "Netns", status.netns());
  if (status.cgroups_size() > 0) {
    Line(out, 0, "Cgroups",
         absl::StrJoin(status.cgroups(), "\n" + std::string(18, ' ')));
  }
  if (status.has_machine_exit()) {
    const v1::MachineExit& exit = status.machine_exit();
    std::string text = exit.kind();
    if (exit.kind() == "Exited") {
      absl::StrAppend(&text, " with ", exit.exit_code());
    }
    if (exit.kind() == "Signaled") {
      absl::StrAppend(&text, " by signal ", exit.signal());
    }
    if (exit.oom_killed()) absl::StrAppend(&text, ", out of memory");
    if (exit.stop_requested()) absl::StrAppend(&text, ", as requested");
    Line(out, 0, "Machine Exit", text);
  }
  if (status.has_usage()) {
    const v1::PodUsage& usage = status.usage();
    if (usage.has_memory_bytes()) {
      Line(out, 0, "Memory", HumanBytes(usage.memory_bytes()));
    }
    if (usage.has_cpu_usec()) {
      Line(out, 0, "CPU Time",
           absl::FormatDuration(absl::Microseconds(usage.cpu_usec())));
    }
    if (usage.has_tasks()) Line(out, 0, "Tasks", absl::StrCat(usage.tasks()));
  }
}

void PrintState(std::ostream& out, absl::string_view title,
                const v1::ContainerState& state) {
  if (state.has_waiting()) {
    Line(out, 4, title, "Waiting");
    Line(out, 6, "Reason", state.waiting().reason());
    if (!state.waiting().message().empty()) {
      Line(out, 6, "Message", state.waiting().message());
    }
  } else if (state.has_running()) {
    Line(out, 4, title, "Running");
    Line(out, 6, "Started", Stamp(state.running().started_at()));
  } else if (state.has_terminated()) {
    const v1::ContainerStateTerminated& end = state.terminated();
    Line(out, 4, title, "Terminated");
    Line(out, 6, "Reason", end.reason());
    if (!end.message().empty()) Line(out, 6, "Message", end.message());
    Line(out, 6, "Exit Code", absl::StrCat(end.exit_code()));
    if (end.signal() != 0) Line(out, 6, "Signal", absl::StrCat(end.signal()));
    Line(out, 6, "Started", Stamp(end.started_at()));
    Line(out, 6, "Finished", Stamp(end.finished_at()));
  }
}

void PrintApps(std::ostream& out, const v1::Pod& pod) {
  out << "Containers:" << (pod.spec().containers_size() == 0 ? "  <none>" : "")
      << "\n";
  for (const v1::Container& app : pod.spec().containers()) {
    out << "  " << app.name() << ":\n";
    Line(out, 4, "Image", app.image());
    if (app.command_size() > 0) {
      Line(out, 4, "Command", absl::StrJoin(app.command(), " "));
    }
    if (app.args_size() > 0) {
      Line(out, 4, "Args", absl::StrJoin(app.args(), " "));
    }
    for (const v1::ContainerStatus& status :
         pod.status().container_statuses()) {
      if (status.name() != app.name()) continue;
      Line(out, 4, "Image ID", status.image_id());
      PrintState(out, "State", status.state());
      PrintState(out, "Last State", status.last_state());
      Line(out, 4, "Ready", status.ready() ? "True" : "False");
      Line(out, 4, "Restart Count", absl::StrCat(status.restart_count()));
    }
  }
}

void PrintInterfaces(std::ostream& out, const v1::PodStatus& status) {
  if (status.interfaces_size() == 0) return;
  out << "Interfaces:\n";
  Table table({"  NAME", "NETWORK", "ADDRESSES", "GATEWAYS", "MAC", "HOST"});
  for (const v1::PodInterface& i : status.interfaces()) {
    table.AddRow({absl::StrCat("  ", i.name()), i.network(),
                  absl::StrJoin(i.addresses(), ","),
                  absl::StrJoin(i.gateways(), ","), i.mac(), i.host_name()});
  }
  table.Print(out);
}

void PrintConditions(std::ostream& out, const v1::PodStatus& status) {
  out << "Conditions:\n";
  Table table({"  TYPE", "STATUS", "REASON"});
  for (const v1::PodCondition& c : status.conditions()) {
    table.AddRow({absl::StrCat("  ", c.type()), c.status(), c.reason()});
  }
  table.Print(out);
}

// Where the time of the last start went.
void PrintTiming(std::ostream& out, const v1::PodStatus& status) {
  if (status.start_phases_size() == 0) return;
  out << "Timing:\n";
  double total = 0;
  for (const v1::StartPhase& phase : status.start_phases()) {
    double ms =
        phase.duration().seconds() * 1e3 + phase.duration().nanos() / 1e6;
    total += ms;
    out << absl::StrFormat("  %-14s %9.1f ms\n", phase.name(), ms);
  }
  out << absl::StrFormat("  %-14s %9.1f ms\n", "total", total);
}

absl::StatusOr<int> DescribePod(Context& context, const std::string& name) {
  v1::GetPodRequest request;
  request.set_pod(name);
  v1::GetPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().GetPod(&rpc, request, &response)));
  const v1::Pod& pod = response.pod();
  PrintHead(context.out, pod);
  PrintMachine(context.out, pod.status());
  PrintApps(context.out, pod);
  PrintInterfaces(context.out, pod.status());
  PrintConditions(context.out, pod.status());
  PrintTiming(context.out, pod.status());
  for (const std::string& leftover : pod.status().leftovers()) {
    Line(context.out, 0, "Leftover", leftover);
  }
  return 0;
}

absl::StatusOr<int> Describe(Context& context,
                             const std::vector<std::string>& what) {
  std::string type = what[0];
  std::vector<std::string> names(what.begin() + 1, what.end());
  size_t slash = type.find('/');
  if (slash != std::string::npos) {
    names.insert(names.begin(), type.substr(slash + 1));
    type = type.substr(0, slash);
  }
  if (type != "pod" && type != "pods" && type != "po") {
    return LocalError(
        absl::StrCat("cannot describe \"", type, "\": use pod NAME"));
  }
  if (names.empty()) return LocalError("which pod? use describe pod NAME");
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) context.out << "\n\n";
    RETURN_IF_ERROR(DescribePod(context, names[i]));
  }
  return 0;
}

}  // namespace

void AddDescribeCommand(CLI::App& app, Context& context) {
  auto what = std::make_shared<std::vector<std::string>>();
  CLI::App* describe =
      app.add_subcommand("describe", "Show all there is to know of a pod");
  describe->add_option("WHAT", *what, "pod NAME")->required();
  describe->callback([&context, what] {
    context.action = [&context, what] { return Describe(context, *what); };
  });
}

}  // namespace davit::cli
