#include "agent/pod/pod.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace davit {
namespace {

bool EndedWell(const AppState& app) {
  return app.status.state == AppStatus::State::kTerminated &&
         app.status.exit_code == 0;
}

// The phase of a pod that has run and does not run any more.
std::string PhaseOfEnded(const Pod& pod) {
  if (!pod.status.apps.empty()) {
    bool good =
        std::all_of(pod.status.apps.begin(), pod.status.apps.end(), EndedWell);
    return good ? "Succeeded" : "Failed";
  }
  if (!pod.status.exit.has_value()) return "Unknown";
  switch (pod.status.exit->kind) {
    case PodExit::Kind::kUnknown:
      return "Unknown";
    case PodExit::Kind::kPowerOff:
    case PodExit::Kind::kReboot:
      return "Succeeded";
    case PodExit::Kind::kExited:
      return pod.status.exit->code == 0 ? "Succeeded" : "Failed";
    case PodExit::Kind::kSignaled:
      return "Failed";
  }
  return "Unknown";
}

}  // namespace

bool UsesHostNetwork(const PodSpec& spec) {
  return spec.host_network ||
         (spec.networks.size() == 1 && spec.networks[0] == "host");
}

bool HasOwnUsers(const PodSpec& spec) {
  return !spec.host_users.value_or(true);
}

std::vector<HostPort> HostPorts(const PodSpec& spec) {
  bool host = UsesHostNetwork(spec);
  std::vector<HostPort> ports;
  for (size_t c = 0; c < spec.containers.size(); ++c) {
    const ContainerSpec& container = spec.containers[c];
    for (size_t p = 0; p < container.ports.size(); ++p) {
      const ContainerPort& port = container.ports[p];
      if (port.host_port == 0 && !host) continue;
      ports.push_back(
          {port.host_ip, host ? port.container_port : port.host_port,
           port.container_port, port.protocol, container.name,
           absl::StrCat("spec.containers[", c, "].ports[", p, "].hostPort")});
    }
  }
  return ports;
}

std::string PodPhase(const Pod& pod) {
  switch (pod.status.state) {
    case PodState::kCreated:
    case PodState::kStarting:
      return "Pending";
    case PodState::kRunning:
    case PodState::kStopping:
      return "Running";
    case PodState::kExited:
      return PhaseOfEnded(pod);
    case PodState::kFailed:
      return "Failed";
    case PodState::kRemoving:
      // Being removed says nothing about how it went before.
      if (pod.status.finished_at != absl::InfinitePast()) {
        return PhaseOfEnded(pod);
      }
      return pod.status.started_at == absl::InfinitePast() ? "Pending"
                                                           : "Unknown";
  }
  return "Unknown";
}

const char* PodStateName(PodState state) {
  switch (state) {
    case PodState::kCreated:
      return "Created";
    case PodState::kStarting:
      return "Starting";
    case PodState::kRunning:
      return "Running";
    case PodState::kStopping:
      return "Stopping";
    case PodState::kExited:
      return "Exited";
    case PodState::kFailed:
      return "Failed";
    case PodState::kRemoving:
      return "Removing";
  }
  return "Unknown";
}

const char* IntentKindName(IntentKind kind) {
  switch (kind) {
    case IntentKind::kUserns:
      return "userns";
    case IntentKind::kOverlay:
      return "overlay";
    case IntentKind::kNetns:
      return "netns";
    case IntentKind::kNetwork:
      return "network";
    case IntentKind::kBoot:
      return "boot";
  }
  return "unknown";
}

}  // namespace davit
