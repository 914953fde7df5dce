// davitctl describe pod|network NAME
#include <algorithm>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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

std::string OrNone(const std::string& text) {
  return text.empty() ? "<none>" : text;
}

template <typename Repeated>
std::string Joined(const Repeated& words) {
  return absl::StrJoin(words, ",");
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
  // An agent from before the field has only such pods.
  bool host_users = !pod.spec().has_host_users() || pod.spec().host_users();
  Line(out, 0, "Host Users", host_users ? "true" : "false");
  if (!status.system_state().empty()) {
    Line(out, 0, "System State", status.system_state());
  }
}

void PrintPressure(std::ostream& out, const std::string& name, bool told,
                   const v1::PodPressure& pressure) {
  if (!told) return;
  Line(out, 0, name,
       absl::StrFormat("some %.2f%%, all %.2f%% of the last 10 s",
                       pressure.some_avg10(), pressure.full_avg10()));
}

void PrintUsage(std::ostream& out, const v1::PodUsage& usage) {
  if (usage.has_memory_bytes()) {
    std::string text = HumanBytes(usage.memory_bytes());
    if (usage.has_memory_peak_bytes()) {
      absl::StrAppend(
          &text, ", at most ",
          HumanBytes(static_cast<uint64_t>(usage.memory_peak_bytes())));
    }
    if (usage.swap_bytes() > 0) {
      absl::StrAppend(&text, ", ",
                      HumanBytes(static_cast<uint64_t>(usage.swap_bytes())),
                      " swapped out");
    }
    Line(out, 0, "Memory", text);
  }
  if (usage.oom_kills() > 0) {
    Line(out, 0, "OOM Kills", absl::StrCat(usage.oom_kills()));
  }
  if (usage.has_cpu_usec()) {
    Line(out, 0, "CPU Time",
         absl::FormatDuration(absl::Microseconds(usage.cpu_usec())));
  }
  if (usage.cpu_throttled_periods() > 0) {
    Line(out, 0, "Throttled",
         absl::StrCat(absl::FormatDuration(
                          absl::Microseconds(usage.cpu_throttled_usec())),
                      ", in ", usage.cpu_throttled_periods(), " of ",
                      usage.cpu_periods(), " periods"));
  }
  if (usage.has_tasks()) Line(out, 0, "Tasks", absl::StrCat(usage.tasks()));
  PrintPressure(out, "CPU Wait", usage.has_cpu_pressure(),
                usage.cpu_pressure());
  PrintPressure(out, "Memory Wait", usage.has_memory_pressure(),
                usage.memory_pressure());
  PrintPressure(out, "IO Wait", usage.has_io_pressure(), usage.io_pressure());
}

void PrintMachine(std::ostream& out, const v1::PodStatus& status) {
  if (status.pid() != 0) Line(out, 0, "PID", absl::StrCat(status.pid()));
  if (!status.netns().empty()) Line(out, 0, "Netns", status.netns());
  if (status.has_user_namespace()) {
    const v1::PodUserNamespace& userns = status.user_namespace();
    uint64_t first = userns.host_id();
    Line(out, 0, "Node's Ids",
         absl::StrCat(first, "-", first + userns.size() - 1));
  }
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
  if (status.has_usage()) PrintUsage(out, status.usage());
}

std::string Quantities(
    const google::protobuf::Map<std::string, std::string>& map) {
  std::vector<std::string> texts;
  for (const char* name : {"cpu", "memory"}) {
    auto it = map.find(name);
    if (it != map.end()) texts.push_back(absl::StrCat(name, "=", it->second));
  }
  return absl::StrJoin(texts, ", ");
}

void PrintResources(std::ostream& out, int indent,
                    const v1::ResourceRequirements& resources) {
  if (!resources.limits().empty()) {
    Line(out, indent, "Limits", Quantities(resources.limits()));
  }
  if (!resources.requests().empty()) {
    Line(out, indent, "Requests", Quantities(resources.requests()));
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
    PrintResources(out, 4, app.resources());
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
                  OrNone(Joined(i.gateways())), i.mac(),
                  OrNone(i.host_name())});
  }
  table.Print(out);
}

void PrintRoutes(std::ostream& out, const v1::PodStatus& status) {
  Table table({"  DESTINATION", "GATEWAY", "INTERFACE"});
  for (const v1::PodInterface& interface : status.interfaces()) {
    for (const v1::PodRoute& route : interface.routes()) {
      // As ip-route(8): without a gateway the destination is on the link, but
      // a plugin may leave it to the address's own.
      std::string gateway = route.gateway();
      if (gateway.empty() && interface.gateways_size() > 0) {
        gateway = interface.gateways(0);
      }
      table.AddRow({absl::StrCat("  ", route.destination()),
                    gateway.empty() ? "<link>" : gateway, interface.name()});
    }
  }
  if (table.empty()) return;
  out << "Routes:\n";
  table.Print(out);
}

void PrintDns(std::ostream& out, const v1::PodStatus& status) {
  if (!status.has_dns()) return;
  const v1::PodDNSConfig& dns = status.dns();
  std::vector<std::string> options;
  for (const v1::PodDNSConfigOption& option : dns.options()) {
    options.push_back(option.has_value()
                          ? absl::StrCat(option.name(), ":", option.value())
                          : option.name());
  }
  out << "DNS:\n";
  Line(out, 2, "Nameservers", OrNone(Joined(dns.nameservers())));
  if (!dns.domain().empty()) Line(out, 2, "Domain", dns.domain());
  if (dns.searches_size() > 0) {
    Line(out, 2, "Searches", absl::StrJoin(dns.searches(), " "));
  }
  if (!options.empty()) Line(out, 2, "Options", absl::StrJoin(options, " "));
}

void PrintPortMaps(std::ostream& out, const v1::PodStatus& status) {
  if (status.port_mappings_size() == 0) return;
  out << "Port Maps:\n";
  Table table({"  NODE", "POD", "PROTOCOL", "CONTAINER"});
  for (const v1::PortMapping& port : status.port_mappings()) {
    std::string ip = port.host_ip();
    if (ip.empty()) ip = "*";
    if (absl::StrContains(ip, ':')) ip = absl::StrCat("[", ip, "]");
    table.AddRow({absl::StrCat("  ", ip, ":", port.host_port()),
                  absl::StrCat(port.container_port()), port.protocol(),
                  port.container()});
  }
  table.Print(out);
}

void PrintNetwork(std::ostream& out, const v1::PodStatus& status) {
  if (!status.host_ip().empty()) Line(out, 0, "Node", status.host_ip());
  std::vector<std::string> ips;
  for (const v1::PodIP& ip : status.pod_ips()) ips.push_back(ip.ip());
  Line(out, 0, "IPs", OrNone(absl::StrJoin(ips, ", ")));
  PrintInterfaces(out, status);
  PrintRoutes(out, status);
  PrintDns(out, status);
  PrintPortMaps(out, status);
}

void PrintMounts(std::ostream& out, const v1::PodStatus& status) {
  if (status.mounts().empty()) return;
  out << "Mounts:\n";
  Table table({"  SOURCE", "TARGET", "CONTAINER", "MODE"});
  for (const v1::PodMount& mount : status.mounts()) {
    table.AddRow({absl::StrCat("  ", mount.source()), mount.target(),
                  OrNone(mount.app()), mount.read_only() ? "ro" : "rw"});
  }
  table.Print(out);
}

void PrintConditions(std::ostream& out, const v1::PodStatus& status) {
  out << "Conditions:\n";
  Table table({"  TYPE", "STATUS", "SINCE", "REASON"});
  for (const v1::PodCondition& c : status.conditions()) {
    table.AddRow({absl::StrCat("  ", c.type()), c.status(),
                  Stamp(c.last_transition_time()), c.reason()});
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

absl::Status DescribePod(Context& context, const std::string& name) {
  v1::GetPodRequest request;
  request.set_pod(name);
  v1::GetPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().GetPod(&rpc, request, &response)));
  const v1::Pod& pod = response.pod();
  PrintHead(context.out, pod);
  PrintResources(context.out, 0, pod.spec().resources());
  PrintMachine(context.out, pod.status());
  PrintApps(context.out, pod);
  PrintNetwork(context.out, pod.status());
  PrintMounts(context.out, pod.status());
  PrintConditions(context.out, pod.status());
  PrintTiming(context.out, pod.status());
  for (const std::string& leftover : pod.status().leftovers()) {
    Line(context.out, 0, "Leftover", leftover);
  }
  return absl::OkStatus();
}

void PrintPlugins(std::ostream& out, const v1::GetNetworkResponse& network) {
  out << "Plugins:\n";
  Table table({"  TYPE", "PROGRAM", "CNI VERSIONS"});
  for (const v1::NetworkPlugin& plugin : network.plugins()) {
    table.AddRow({absl::StrCat("  ", plugin.type()), OrNone(plugin.path()),
                  plugin.error().empty()
                      ? Joined(plugin.versions())
                      : absl::StrCat("error: ", plugin.error())});
  }
  table.Print(out);
}

void PrintPools(std::ostream& out, const v1::GetNetworkResponse& network) {
  if (network.pools().empty()) return;
  out << "Addresses:\n";
  Table table({"  SUBNET", "USED", "FREE", "CAPACITY"});
  for (const v1::AddressPool& pool : network.pools()) {
    uint64_t free = pool.capacity() - std::min(pool.used(), pool.capacity());
    table.AddRow({absl::StrCat("  ", pool.subnet()), absl::StrCat(pool.used()),
                  absl::StrCat(free), absl::StrCat(pool.capacity())});
  }
  table.Print(out);
}

void PrintNetworkPods(std::ostream& out,
                      const v1::GetNetworkResponse& network) {
  out << "Pods:" << (network.pods().empty() ? "  <none>" : "") << "\n";
  if (network.pods().empty()) return;
  Table table({"  NAME", "UID"});
  for (const v1::NetworkPod& pod : network.pods()) {
    table.AddRow({absl::StrCat("  ", OrNone(pod.name())), pod.uid()});
  }
  table.Print(out);
}

absl::Status DescribeNetwork(Context& context, const std::string& name) {
  v1::GetNetworkRequest request;
  request.set_network(name);
  v1::GetNetworkResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().networks().GetNetwork(&rpc, request, &response)));
  std::ostream& out = context.out;
  const v1::Network& network = response.network();
  Line(out, 0, "Name", network.name());
  Line(out, 0, "File", network.file());
  Line(out, 0, "CNI Version", network.cni_version());
  std::string trouble = network.error().empty()
                            ? response.status_error()
                            : absl::StrCat("broken: ", network.error());
  Line(out, 0, "Status", trouble.empty() ? "OK" : trouble);
  PrintPlugins(out, response);
  PrintPools(out, response);
  PrintNetworkPods(out, response);
  out << "Config:\n";
  for (absl::string_view line :
       absl::StrSplit(absl::StripSuffix(response.config(), "\n"), '\n')) {
    out << "  " << line << "\n";
  }
  return absl::OkStatus();
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
  bool network = type == "network" || type == "networks" || type == "net";
  if (!network && type != "pod" && type != "pods" && type != "po") {
    return LocalError(absl::StrCat("cannot describe \"", type,
                                   "\": use pod NAME or network NAME"));
  }
  if (names.empty()) {
    const char* kind = network ? "network" : "pod";
    return LocalError(
        absl::StrCat("which ", kind, "? use describe ", kind, " NAME"));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) context.out << "\n\n";
    RETURN_IF_ERROR(network ? DescribeNetwork(context, names[i])
                            : DescribePod(context, names[i]));
  }
  return 0;
}

}  // namespace

void AddDescribeCommand(CLI::App& app, Context& context) {
  auto what = std::make_shared<std::vector<std::string>>();
  CLI::App* describe = app.add_subcommand(
      "describe", "Show all there is to know of a pod or network");
  describe->add_option("WHAT", *what, "pod NAME... or network NAME...")
      ->required();
  describe->callback([&context, what] {
    context.action = [&context, what] { return Describe(context, *what); };
  });
}

}  // namespace davit::cli
