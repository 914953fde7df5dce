#ifndef DAVIT_AGENT_POD_POD_H_
#define DAVIT_AGENT_POD_POD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "net/pod_network.h"
#include "runtime/app/app.h"
#include "runtime/boot/launcher.h"
#include "runtime/userns/userns.h"

// Pods as the agent thinks of them: plain values. Field meanings, units and
// defaults are those of proto/davit/v1/pod.proto; agent/rpc/convert.h is the
// border between the two.

namespace davit {

struct EnvVar {
  std::string name, value;
  bool operator==(const EnvVar&) const = default;
};

struct ContainerPort {
  std::string name;
  int container_port = 0;
  std::string protocol = "TCP";
  int host_port = 0;    // 0: none
  std::string host_ip;  // empty: all of the node's
  bool operator==(const ContainerPort&) const = default;
};

// How an app, or a machine, is confined by one of the kernel's means.
enum class ProfileType { kUnset, kRuntimeDefault, kUnconfined, kLocalhost };

struct ConfinementProfile {
  ProfileType type = ProfileType::kUnset;
  std::string localhost_profile;  // with kLocalhost
  bool operator==(const ConfinementProfile&) const = default;
};

// All empty: not said.
struct SELinuxOptions {
  std::string user, role, type, level;
  bool operator==(const SELinuxOptions&) const = default;
};

struct Confinement {
  ConfinementProfile seccomp, app_armor;
  SELinuxOptions se_linux;
  bool operator==(const Confinement&) const = default;
};

struct SecurityContext {
  std::optional<int64_t> run_as_user, run_as_group;
  std::optional<bool> run_as_non_root, read_only_root_filesystem;
  std::optional<bool> allow_privilege_escalation, privileged;
  std::vector<std::string> add_capabilities, drop_capabilities;
  Confinement confinement;
  bool operator==(const SecurityContext&) const = default;
};

// By name: "cpu", "memory". See resources.h.
struct ResourceRequirements {
  std::map<std::string, std::string> limits, requests;
  bool operator==(const ResourceRequirements&) const = default;
};

struct ContainerSpec {
  std::string name, image;
  std::vector<std::string> command, args;
  std::string working_dir;
  std::vector<EnvVar> env;
  std::vector<ContainerPort> ports;
  SecurityContext security;
  ResourceRequirements resources;
  bool operator==(const ContainerSpec&) const = default;
};

// One network that a pod joins, with what it asks of it.
struct NetworkAttachment {
  std::string name;
  std::string interface = {};  // empty: eth<n>
  std::vector<std::string> ips = {};
  std::string mac = {};
  std::vector<std::string> aliases = {};
  std::string host_interface = {};
  bool systemd_names = false;  // host0 and ve-<pod>
  bool operator==(const NetworkAttachment&) const = default;
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const HostAlias&) const = default;
};

enum class DnsPolicy { kDefault, kClusterFirst, kClusterFirstHost, kNone };

struct PodSpec {
  std::string name;
  std::map<std::string, std::string> labels, annotations;
  std::vector<ContainerSpec> containers;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  std::string hostname;  // never empty once validated
  std::string subdomain;
  bool host_network = false;
  absl::Duration termination_grace = absl::Seconds(30);
  DnsPolicy dns_policy = DnsPolicy::kDefault;
  DnsConfig dns;
  std::vector<HostAlias> host_aliases;
  std::string root_image;  // empty: the agent's stage1
  // False: in a user namespace. Unset only before the border has filled in the
  // agent's default, and in records of agents that did not know it: true.
  std::optional<bool> host_users;
  ResourceRequirements resources;
  // Of apps that do not say it, and of a pod without apps.
  Confinement confinement;
  // At most one of the two is not empty; both empty: {"default"}.
  std::vector<std::string> networks;
  std::vector<NetworkAttachment> attachments;
};

// A port of the node that leads to a pod.
struct HostPort {
  std::string host_ip;  // empty: all of the node's
  int host_port = 0;
  int container_port = 0;
  std::string protocol;  // "TCP", "UDP", "SCTP"
  std::string container;
  std::string field;  // of the spec: "spec.containers[0].ports[1].hostPort"
};

enum class PodState {
  kCreated,
  kStarting,
  kRunning,
  kStopping,
  kExited,
  kFailed,
  kRemoving,
};

struct StartPhase {
  std::string name;
  absl::Duration duration;
};

// A side effect on the host that exists or may exist. Written to the record
// before the deed and taken off it after the undo.
enum class IntentKind { kUserns, kOverlay, kNetns, kNetwork, kBoot };

struct Intent {
  IntentKind kind;
  absl::Time time;
  std::string error;  // why the last undo failed; empty: none was tried
};

struct AppState {
  std::string name;
  std::string image, image_id;
  AppStatus status;
  AppStatus last;  // the run before, meaningful if last.finished_at is set
  bool started = false;
};

// What was mounted into a running pod.
struct PodMount {
  std::string source, target;
  std::string app;  // empty: the target is in the pod's own root
  bool read_only = false;
  uint64_t mount_id = 0;
  bool operator==(const PodMount&) const = default;
};

struct PodStatus {
  PodState state = PodState::kCreated;
  std::string reason, message;
  absl::Time started_at = absl::InfinitePast();
  absl::Time finished_at = absl::InfinitePast();
  std::optional<PodExit> exit;
  std::vector<InterfaceStatus> interfaces;
  DnsConfig dns;        // of its resolv.conf; empty when it does not run
  std::string host_ip;  // the node's address at the start
  std::vector<AppState> apps;
  std::vector<StartPhase> start_phases;
  ProcessIdentity init;
  PodUserns userns;  // empty path: the host's users, or it does not run
  std::string netns_path;
  std::vector<std::string> cgroups;
  std::string system_state;
  std::vector<PodMount> mounts;
  bool paused = false;
};

struct Pod {
  std::string id;  // UUID
  PodSpec spec;
  absl::Time created_at;
  std::string root_image_id;
  PodStatus status;
  std::vector<Intent> intents;
  bool stop_requested = false;
  bool remove_requested = false;
};

// True if the pod has the node's own network: host_network, or the one network
// "host".
bool UsesHostNetwork(const PodSpec& spec);

// True if the pod has a user namespace of its own.
bool HasOwnUsers(const PodSpec& spec);

// All containers' ports that have a host port; with the host's network all
// ports, as they are the node's.
std::vector<HostPort> HostPorts(const PodSpec& spec);

// Kubernetes' phase word of a pod: "Pending", "Running", "Succeeded", "Failed"
// or "Unknown" (pod-lifecycle: Succeeded = all apps ended with 0 and will not
// be restarted; a machine: clean power-off).
std::string PodPhase(const Pod& pod);

const char* PodStateName(PodState state);     // "Running"
const char* IntentKindName(IntentKind kind);  // "network"

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_H_
