#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "agent/rpc/convert.h"
#include "agent/rpc/convert_internal.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr Word<PodExit::Kind> kExitKinds[] = {
    {PodExit::Kind::kUnknown, "Unknown"},   {PodExit::Kind::kExited, "Exited"},
    {PodExit::Kind::kPowerOff, "PowerOff"}, {PodExit::Kind::kReboot, "Reboot"},
    {PodExit::Kind::kSignaled, "Signaled"},
};

struct StatePair {
  PodState value;
  v1::PodState proto;
};

constexpr StatePair kStates[] = {
    {PodState::kCreated, v1::POD_STATE_CREATED},
    {PodState::kStarting, v1::POD_STATE_STARTING},
    {PodState::kRunning, v1::POD_STATE_RUNNING},
    {PodState::kStopping, v1::POD_STATE_STOPPING},
    {PodState::kExited, v1::POD_STATE_EXITED},
    {PodState::kFailed, v1::POD_STATE_FAILED},
    {PodState::kRemoving, v1::POD_STATE_REMOVING},
};

absl::StatusOr<PodState> ParseState(v1::PodState state) {
  for (const StatePair& pair : kStates) {
    if (pair.proto == state) return pair.value;
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "status.state: unknown value %d", static_cast<int>(state)));
}

v1::PodState StateToProto(PodState state) {
  for (const StatePair& pair : kStates) {
    if (pair.value == state) return pair.proto;
  }
  return v1::POD_STATE_UNSPECIFIED;
}

// --- Status, to proto ---

void TerminatedToProto(const AppStatus& from, v1::ContainerState* state) {
  v1::ContainerStateTerminated* to = state->mutable_terminated();
  to->set_exit_code(from.exit_code);
  to->set_signal(from.signal);
  to->set_reason(from.reason);
  to->set_message(from.message);
  if (from.started_at != absl::InfinitePast()) {
    *to->mutable_started_at() = TimeToProto(from.started_at);
  }
  if (from.finished_at != absl::InfinitePast()) {
    *to->mutable_finished_at() = TimeToProto(from.finished_at);
  }
}

void AppStateToProto(const AppStatus& from, v1::ContainerState* to) {
  switch (from.state) {
    case AppStatus::State::kWaiting:
      to->mutable_waiting()->set_reason(from.reason);
      to->mutable_waiting()->set_message(from.message);
      return;
    case AppStatus::State::kRunning:
      to->mutable_running();
      if (from.started_at != absl::InfinitePast()) {
        *to->mutable_running()->mutable_started_at() =
            TimeToProto(from.started_at);
      }
      return;
    case AppStatus::State::kTerminated:
      TerminatedToProto(from, to);
      return;
  }
}

bool IsReady(const AppState& app) {
  return app.status.state == AppStatus::State::kRunning;
}

void AppToProto(const AppState& from, v1::ContainerStatus* to) {
  to->set_name(from.name);
  AppStateToProto(from.status, to->mutable_state());
  if (from.last.finished_at != absl::InfinitePast()) {
    TerminatedToProto(from.last, to->mutable_last_state());
  }
  to->set_ready(IsReady(from));
  to->set_restart_count(from.status.restarts);
  to->set_image(from.image);
  to->set_image_id(from.image_id);
  to->set_started(from.started);
}

// When the pod became ready, or ceased to be: the last of the changes that are
// on record. Nobody stores it.
absl::Time ReadySince(const Pod& pod) {
  absl::Time since = std::max(pod.created_at, pod.status.started_at);
  if (pod.status.finished_at >= pod.status.started_at) {
    since = std::max(since, pod.status.finished_at);
  }
  for (const AppState& app : pod.status.apps) {
    since = std::max(
        since, IsReady(app) ? app.status.started_at : app.status.finished_at);
  }
  return since;
}

// The "Ready" condition, as kubelet words it.
void ReadyToProto(const Pod& pod, v1::PodCondition* ready) {
  ready->set_type("Ready");
  if (absl::Time since = ReadySince(pod); since != absl::InfinitePast()) {
    *ready->mutable_last_transition_time() = TimeToProto(since);
  }
  ready->set_status("False");
  std::string phase = PodPhase(pod);
  if (phase == "Succeeded") {
    ready->set_reason("PodCompleted");
    return;
  }
  if (pod.status.state != PodState::kRunning) {
    ready->set_reason("PodNotRunning");
    ready->set_message(absl::StrCat("pod is ", PodStateName(pod.status.state)));
    return;
  }
  std::vector<std::string> unready;
  for (const AppState& app : pod.status.apps) {
    if (!IsReady(app)) unready.push_back(app.name);
  }
  if (unready.empty()) {
    ready->set_status("True");
    return;
  }
  ready->set_reason("ContainersNotReady");
  ready->set_message(absl::StrCat("containers with unready status: [",
                                  absl::StrJoin(unready, " "), "]"));
}

void InterfacesToProto(const std::vector<InterfaceStatus>& from,
                       v1::PodStatus* to) {
  for (const InterfaceStatus& interface : from) {
    v1::PodInterface* out = to->add_interfaces();
    out->set_network(interface.network);
    out->set_name(interface.ifname);
    out->set_mac(interface.mac);
    SetStrings(interface.addresses, out->mutable_addresses());
    SetStrings(interface.gateways, out->mutable_gateways());
    out->set_host_name(interface.host_ifname);
    out->set_mtu(interface.mtu);
    for (const Route& route : interface.routes) {
      v1::PodRoute* to_route = out->add_routes();
      to_route->set_destination(route.destination);
      to_route->set_gateway(route.gateway);
    }
    if (!(interface.dns == DnsConfig())) {
      *out->mutable_dns() = DnsToProto(interface.dns);
    }
    for (const std::string& address : interface.addresses) {
      std::vector<std::string> parts = absl::StrSplit(address, '/');
      to->add_pod_ips()->set_ip(parts[0]);
    }
  }
}

// What follows from where the pod is in the network.
void AddressesToProto(const Pod& pod, v1::PodStatus* to) {
  const PodStatus& from = pod.status;
  InterfacesToProto(from.interfaces, to);
  to->set_host_ip(from.host_ip);
  bool host = UsesHostNetwork(pod.spec) && from.interfaces.empty() &&
              from.state == PodState::kRunning;
  if (host && !from.host_ip.empty()) to->add_pod_ips()->set_ip(from.host_ip);
  if (to->pod_ips_size() > 0) to->set_pod_ip(to->pod_ips(0).ip());
  if (!(from.dns == DnsConfig())) *to->mutable_dns() = DnsToProto(from.dns);
  if (from.interfaces.empty()) return;
  for (const HostPort& port : HostPorts(pod.spec)) {
    v1::PortMapping* out = to->add_port_mappings();
    out->set_host_ip(port.host_ip);
    out->set_host_port(port.host_port);
    out->set_container_port(port.container_port);
    out->set_protocol(port.protocol);
    out->set_container(port.container);
  }
}

void ExitToProto(const PodExit& from, v1::MachineExit* to) {
  to->set_kind(WordOf(kExitKinds, from.kind));
  to->set_exit_code(from.code);
  to->set_signal(from.signal);
  to->set_oom_killed(from.oom_killed);
  to->set_stop_requested(from.stop_requested);
}

// --- Status, from proto ---

void TerminatedFromProto(const v1::ContainerStateTerminated& from,
                         AppStatus& to) {
  to.state = AppStatus::State::kTerminated;
  to.exit_code = from.exit_code();
  to.signal = from.signal();
  to.reason = from.reason();
  to.message = from.message();
  if (from.has_started_at()) to.started_at = TimeFromProto(from.started_at());
  if (from.has_finished_at()) {
    to.finished_at = TimeFromProto(from.finished_at());
  }
}

AppState AppFromProto(const v1::ContainerStatus& from) {
  AppState to;
  to.name = from.name();
  to.image = from.image();
  to.image_id = from.image_id();
  to.started = from.started();
  if (from.state().has_running()) {
    to.status.state = AppStatus::State::kRunning;
    if (from.state().running().has_started_at()) {
      to.status.started_at = TimeFromProto(from.state().running().started_at());
    }
  } else if (from.state().has_terminated()) {
    TerminatedFromProto(from.state().terminated(), to.status);
  } else {
    to.status.reason = from.state().waiting().reason();
    to.status.message = from.state().waiting().message();
  }
  to.status.restarts = from.restart_count();
  if (from.last_state().has_terminated()) {
    TerminatedFromProto(from.last_state().terminated(), to.last);
  }
  return to;
}

InterfaceStatus InterfaceFromProto(const v1::PodInterface& from) {
  InterfaceStatus to;
  to.network = from.network();
  to.ifname = from.name();
  to.mac = from.mac();
  to.host_ifname = from.host_name();
  to.addresses = Strings(from.addresses());
  to.gateways = Strings(from.gateways());
  to.mtu = from.mtu();
  for (const v1::PodRoute& route : from.routes()) {
    to.routes.push_back({route.destination(), route.gateway()});
  }
  to.dns = DnsFromProto(from.dns());
  return to;
}

absl::StatusOr<PodExit> ExitFromProto(const v1::PodStatus& status) {
  const v1::MachineExit& from = status.machine_exit();
  PodExit to;
  ASSIGN_OR_RETURN(
      to.kind, ParseWord(kExitKinds, from.kind(), "status.machineExit.kind"));
  to.code = from.exit_code();
  to.signal = from.signal();
  to.oom_killed = from.oom_killed();
  to.stop_requested = from.stop_requested();
  to.at = status.has_finish_time() ? TimeFromProto(status.finish_time())
                                   : absl::InfinitePast();
  return to;
}

}  // namespace

void StatusToProto(const Pod& pod, v1::PodStatus* to) {
  const PodStatus& from = pod.status;
  to->set_phase(PodPhase(pod));
  to->set_state(StateToProto(from.state));
  to->set_reason(from.reason);
  to->set_message(from.message);
  ReadyToProto(pod, to->add_conditions());
  if (from.started_at != absl::InfinitePast()) {
    *to->mutable_start_time() = TimeToProto(from.started_at);
  }
  if (from.finished_at != absl::InfinitePast()) {
    *to->mutable_finish_time() = TimeToProto(from.finished_at);
  }
  if (from.exit) ExitToProto(*from.exit, to->mutable_machine_exit());
  AddressesToProto(pod, to);
  for (const AppState& app : from.apps) {
    AppToProto(app, to->add_container_statuses());
  }
  for (const StartPhase& phase : from.start_phases) {
    v1::StartPhase* out = to->add_start_phases();
    out->set_name(phase.name);
    *out->mutable_duration() = DurationToProto(phase.duration);
  }
  to->set_pid(from.init.pid);
  to->set_netns(from.netns_path);
  SetStrings(from.cgroups, to->mutable_cgroups());
  to->set_system_state(from.system_state);
  if (!from.userns.path.empty()) {
    v1::PodUserNamespace* out = to->mutable_user_namespace();
    out->set_path(from.userns.path);
    out->set_host_id(from.userns.base);
    out->set_size(kUsernsIds);
  }
  to->set_paused(from.paused);
  for (const PodMount& mount : from.mounts) {
    v1::PodMount* out = to->add_mounts();
    out->set_source(mount.source);
    out->set_target(mount.target);
    out->set_app(mount.app);
    out->set_read_only(mount.read_only);
    out->set_mount_id(mount.mount_id);
  }
  to->set_root_image_id(pod.root_image_id);
  for (const Intent& intent : pod.intents) {
    if (intent.error.empty()) continue;
    to->add_leftovers(
        absl::StrCat(IntentKindName(intent.kind), ": ", intent.error));
  }
}

absl::Status StatusFromProto(const v1::PodStatus& from, PodStatus& to) {
  ASSIGN_OR_RETURN(to.state, ParseState(from.state()));
  to.reason = from.reason();
  to.message = from.message();
  if (from.has_start_time()) to.started_at = TimeFromProto(from.start_time());
  if (from.has_finish_time()) {
    to.finished_at = TimeFromProto(from.finish_time());
  }
  if (from.has_machine_exit()) {
    ASSIGN_OR_RETURN(to.exit, ExitFromProto(from));
  }
  for (const v1::PodInterface& interface : from.interfaces()) {
    to.interfaces.push_back(InterfaceFromProto(interface));
  }
  to.host_ip = from.host_ip();
  to.dns = DnsFromProto(from.dns());
  for (const v1::ContainerStatus& app : from.container_statuses()) {
    to.apps.push_back(AppFromProto(app));
  }
  for (const v1::StartPhase& phase : from.start_phases()) {
    to.start_phases.push_back(
        {phase.name(), DurationFromProto(phase.duration())});
  }
  to.init.pid = static_cast<pid_t>(from.pid());
  to.netns_path = from.netns();
  to.cgroups = Strings(from.cgroups());
  to.system_state = from.system_state();
  to.paused = from.paused();
  for (const v1::PodMount& mount : from.mounts()) {
    to.mounts.push_back({mount.source(), mount.target(), mount.app(),
                         mount.read_only(), mount.mount_id()});
  }
  to.userns = {from.user_namespace().path(), from.user_namespace().host_id()};
  return absl::OkStatus();
}

}  // namespace davit
