#include <string>
#include <utility>
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

constexpr Word<RestartPolicy> kRestartPolicies[] = {
    {RestartPolicy::kAlways, "Always"},
    {RestartPolicy::kOnFailure, "OnFailure"},
    {RestartPolicy::kNever, "Never"},
};

constexpr Word<DnsPolicy> kDnsPolicies[] = {
    {DnsPolicy::kDefault, "Default"},
    {DnsPolicy::kClusterFirst, "ClusterFirst"},
    {DnsPolicy::kClusterFirstHost, "ClusterFirstWithHostNet"},
    {DnsPolicy::kNone, "None"},
};

constexpr Word<ProfileType> kProfileTypes[] = {
    {ProfileType::kRuntimeDefault, "RuntimeDefault"},
    {ProfileType::kUnconfined, "Unconfined"},
    {ProfileType::kLocalhost, "Localhost"},
};

// --- Spec, to proto ---

// Profile is a v1::SeccompProfile or v1::AppArmorProfile, Context a
// v1::SecurityContext or v1::PodSecurityContext: the same fields.
template <typename Profile>
void ProfileToProto(const ConfinementProfile& from, Profile* to) {
  to->set_type(WordOf(kProfileTypes, from.type));
  to->set_localhost_profile(from.localhost_profile);
}

template <typename Context>
void ConfinementToProto(const Confinement& from, Context* to) {
  if (!(from.seccomp == ConfinementProfile())) {
    ProfileToProto(from.seccomp, to->mutable_seccomp_profile());
  }
  if (!(from.app_armor == ConfinementProfile())) {
    ProfileToProto(from.app_armor, to->mutable_app_armor_profile());
  }
  if (from.se_linux == SELinuxOptions()) return;
  v1::SELinuxOptions* options = to->mutable_se_linux_options();
  options->set_user(from.se_linux.user);
  options->set_role(from.se_linux.role);
  options->set_type(from.se_linux.type);
  options->set_level(from.se_linux.level);
}

void SecurityToProto(const SecurityContext& from, v1::Container* container) {
  if (from == SecurityContext()) return;
  v1::SecurityContext* to = container->mutable_security_context();
  if (from.run_as_user) to->set_run_as_user(*from.run_as_user);
  if (from.run_as_group) to->set_run_as_group(*from.run_as_group);
  if (from.run_as_non_root) to->set_run_as_non_root(*from.run_as_non_root);
  if (from.read_only_root_filesystem) {
    to->set_read_only_root_filesystem(*from.read_only_root_filesystem);
  }
  if (from.allow_privilege_escalation) {
    to->set_allow_privilege_escalation(*from.allow_privilege_escalation);
  }
  if (from.privileged) to->set_privileged(*from.privileged);
  ConfinementToProto(from.confinement, to);
  if (from.add_capabilities.empty() && from.drop_capabilities.empty()) return;
  v1::Capabilities* capabilities = to->mutable_capabilities();
  SetStrings(from.add_capabilities, capabilities->mutable_add());
  SetStrings(from.drop_capabilities, capabilities->mutable_drop());
}

void ResourcesToProto(const ResourceRequirements& from,
                      v1::ResourceRequirements* to) {
  to->mutable_limits()->insert(from.limits.begin(), from.limits.end());
  to->mutable_requests()->insert(from.requests.begin(), from.requests.end());
}

void ContainerToProto(const ContainerSpec& from, v1::Container* to) {
  to->set_name(from.name);
  to->set_image(from.image);
  SetStrings(from.command, to->mutable_command());
  SetStrings(from.args, to->mutable_args());
  to->set_working_dir(from.working_dir);
  for (const EnvVar& var : from.env) {
    v1::EnvVar* out = to->add_env();
    out->set_name(var.name);
    out->set_value(var.value);
  }
  for (const ContainerPort& port : from.ports) {
    v1::ContainerPort* out = to->add_ports();
    out->set_name(port.name);
    out->set_container_port(port.container_port);
    out->set_protocol(port.protocol);
    out->set_host_port(port.host_port);
    out->set_host_ip(port.host_ip);
  }
  SecurityToProto(from.security, to);
  if (!(from.resources == ResourceRequirements())) {
    ResourcesToProto(from.resources, to->mutable_resources());
  }
}

void AttachmentToProto(const NetworkAttachment& from,
                       v1::NetworkAttachment* to) {
  to->set_name(from.name);
  to->set_interface(from.interface);
  SetStrings(from.ips, to->mutable_ips());
  to->set_mac(from.mac);
  SetStrings(from.aliases, to->mutable_aliases());
  to->set_host_interface(from.host_interface);
  to->set_systemd_names(from.systemd_names);
}

void NetworksToProto(const PodSpec& from, v1::PodSpec* to) {
  to->set_host_network(from.host_network);
  SetStrings(from.networks, to->mutable_networks());
  for (const NetworkAttachment& attachment : from.attachments) {
    AttachmentToProto(attachment, to->add_network_attachments());
  }
  for (const HostAlias& alias : from.host_aliases) {
    v1::HostAlias* out = to->add_host_aliases();
    out->set_ip(alias.ip);
    SetStrings(alias.hostnames, out->mutable_hostnames());
  }
  to->set_dns_policy(WordOf(kDnsPolicies, from.dns_policy));
  if (!(from.dns == DnsConfig())) {
    *to->mutable_dns_config() = DnsToProto(from.dns);
  }
}

// --- Spec, from proto ---

NetworkAttachment AttachmentFromProto(const v1::NetworkAttachment& from) {
  NetworkAttachment to;
  to.name = from.name();
  to.interface = from.interface();
  to.ips = Strings(from.ips());
  to.mac = from.mac();
  to.aliases = Strings(from.aliases());
  to.host_interface = from.host_interface();
  to.systemd_names = from.systemd_names();
  return to;
}

template <typename Profile>
absl::StatusOr<ConfinementProfile> ProfileFromProto(const Profile& from,
                                                    const std::string& path) {
  ConfinementProfile to;
  ASSIGN_OR_RETURN(to.type,
                   ParseWord(kProfileTypes, from.type(), path + ".type"));
  to.localhost_profile = from.localhost_profile();
  return to;
}

template <typename Context>
absl::StatusOr<Confinement> ConfinementFromProto(const Context& from,
                                                 const std::string& path) {
  Confinement to;
  if (from.has_seccomp_profile()) {
    ASSIGN_OR_RETURN(to.seccomp, ProfileFromProto(from.seccomp_profile(),
                                                  path + ".seccompProfile"));
  }
  if (from.has_app_armor_profile()) {
    ASSIGN_OR_RETURN(to.app_armor, ProfileFromProto(from.app_armor_profile(),
                                                    path + ".appArmorProfile"));
  }
  if (from.has_se_linux_options()) {
    const v1::SELinuxOptions& options = from.se_linux_options();
    to.se_linux = {options.user(), options.role(), options.type(),
                   options.level()};
    if (to.se_linux.type.empty()) {
      return absl::InvalidArgumentError(path +
                                        ".seLinuxOptions.type: is required");
    }
  }
  return to;
}

absl::StatusOr<SecurityContext> SecurityFromProto(
    const v1::SecurityContext& from) {
  SecurityContext to;
  ASSIGN_OR_RETURN(to.confinement,
                   ConfinementFromProto(from, "securityContext"));
  if (from.has_run_as_user()) to.run_as_user = from.run_as_user();
  if (from.has_run_as_group()) to.run_as_group = from.run_as_group();
  if (from.has_run_as_non_root()) to.run_as_non_root = from.run_as_non_root();
  if (from.has_read_only_root_filesystem()) {
    to.read_only_root_filesystem = from.read_only_root_filesystem();
  }
  if (from.has_allow_privilege_escalation()) {
    to.allow_privilege_escalation = from.allow_privilege_escalation();
  }
  if (from.has_privileged()) to.privileged = from.privileged();
  to.add_capabilities = Strings(from.capabilities().add());
  to.drop_capabilities = Strings(from.capabilities().drop());
  return to;
}

absl::Status CheckPullPolicy(const std::string& word) {
  if (word.empty() || word == "IfNotPresent" || word == "Never") {
    return absl::OkStatus();
  }
  if (word == "Always") {
    return absl::InvalidArgumentError(
        "imagePullPolicy: \"Always\" is not supported: there is no registry "
        "to pull from; import the image and use \"IfNotPresent\"");
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "imagePullPolicy: unknown value \"%s\"; one of \"IfNotPresent\", "
      "\"Never\" is wanted",
      word));
}

absl::StatusOr<ContainerSpec> ContainerFromProto(const v1::Container& from) {
  RETURN_IF_ERROR(CheckPullPolicy(from.image_pull_policy()));
  ContainerSpec to;
  to.name = from.name();
  to.image = from.image();
  to.command = Strings(from.command());
  to.args = Strings(from.args());
  to.working_dir = from.working_dir();
  for (const v1::EnvVar& var : from.env()) {
    to.env.push_back({var.name(), var.value()});
  }
  for (const v1::ContainerPort& port : from.ports()) {
    to.ports.push_back(
        {port.name(), port.container_port(),
         port.protocol().empty() ? std::string("TCP") : port.protocol(),
         port.host_port(), port.host_ip()});
  }
  ASSIGN_OR_RETURN(to.security, SecurityFromProto(from.security_context()));
  to.resources = ResourcesFromProto(from.resources());
  return to;
}

absl::Status CheckMeta(const v1::Pod& pod) {
  if (!pod.api_version().empty() && pod.api_version() != "v1") {
    return absl::InvalidArgumentError(
        absl::StrFormat("apiVersion: \"%s\" is not \"v1\"", pod.api_version()));
  }
  if (!pod.kind().empty() && pod.kind() != "Pod") {
    return absl::InvalidArgumentError(
        absl::StrFormat("kind: \"%s\" is not \"Pod\"", pod.kind()));
  }
  const std::string& ns = pod.metadata().namespace_();
  if (!ns.empty() && ns != "default") {
    return absl::InvalidArgumentError(absl::StrFormat(
        "metadata.namespace: \"%s\" is not \"default\": a node has one "
        "namespace",
        ns));
  }
  return absl::OkStatus();
}

absl::Status CheckDnsOptions(const v1::PodDNSConfig& dns) {
  for (int i = 0; i < dns.options_size(); ++i) {
    const std::string& name = dns.options(i).name();
    if (!name.empty() && name.find(':') == std::string::npos) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "spec.dnsConfig.options[%d].name: \"%s\" must be a word without ':'", i,
        name));
  }
  return absl::OkStatus();
}

absl::Status NetworksFromProto(const v1::PodSpec& from, PodSpec& to) {
  to.host_network = from.host_network();
  to.networks = Strings(from.networks());
  for (const v1::NetworkAttachment& one : from.network_attachments()) {
    to.attachments.push_back(AttachmentFromProto(one));
  }
  for (const v1::HostAlias& alias : from.host_aliases()) {
    to.host_aliases.push_back({alias.ip(), Strings(alias.hostnames())});
  }
  if (!from.dns_policy().empty()) {
    ASSIGN_OR_RETURN(to.dns_policy, ParseWord(kDnsPolicies, from.dns_policy(),
                                              "spec.dnsPolicy"));
  }
  RETURN_IF_ERROR(CheckDnsOptions(from.dns_config()));
  to.dns = DnsFromProto(from.dns_config());
  return absl::OkStatus();
}

absl::Status SpecFromProto(const v1::PodSpec& from, PodSpec& to) {
  for (int i = 0; i < from.containers_size(); ++i) {
    absl::StatusOr<ContainerSpec> container =
        ContainerFromProto(from.containers(i));
    if (!container.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "spec.containers[%d].%s", i, container.status().message()));
    }
    to.containers.push_back(*std::move(container));
  }
  if (!from.restart_policy().empty()) {
    ASSIGN_OR_RETURN(to.restart_policy,
                     ParseWord(kRestartPolicies, from.restart_policy(),
                               "spec.restartPolicy"));
  }
  to.hostname = from.hostname().empty() ? to.name : from.hostname();
  to.subdomain = from.subdomain();
  if (from.has_termination_grace_period_seconds()) {
    to.termination_grace =
        absl::Seconds(from.termination_grace_period_seconds());
  }
  to.root_image = from.root_image();
  if (from.has_host_users()) to.host_users = from.host_users();
  to.resources = ResourcesFromProto(from.resources());
  ASSIGN_OR_RETURN(
      to.confinement,
      ConfinementFromProto(from.security_context(), "spec.securityContext"));
  return NetworksFromProto(from, to);
}

}  // namespace

ResourceRequirements ResourcesFromProto(const v1::ResourceRequirements& from) {
  return {{from.limits().begin(), from.limits().end()},
          {from.requests().begin(), from.requests().end()}};
}

// resolv.conf(5) writes an option as "name" or "name:value".
v1::PodDNSConfig DnsToProto(const DnsConfig& from) {
  v1::PodDNSConfig to;
  SetStrings(from.nameservers, to.mutable_nameservers());
  SetStrings(from.search, to.mutable_searches());
  to.set_domain(from.domain);
  for (const std::string& option : from.options) {
    std::pair<std::string, std::string> parts =
        absl::StrSplit(option, absl::MaxSplits(':', 1));
    v1::PodDNSConfigOption* out = to.add_options();
    out->set_name(parts.first);
    if (option.size() > parts.first.size()) out->set_value(parts.second);
  }
  return to;
}

DnsConfig DnsFromProto(const v1::PodDNSConfig& from) {
  DnsConfig to;
  to.nameservers = Strings(from.nameservers());
  to.search = Strings(from.searches());
  to.domain = from.domain();
  for (const v1::PodDNSConfigOption& option : from.options()) {
    to.options.push_back(option.has_value()
                             ? absl::StrCat(option.name(), ":", option.value())
                             : option.name());
  }
  return to;
}

void SpecToProto(const PodSpec& from, v1::PodSpec* to) {
  for (const ContainerSpec& container : from.containers) {
    ContainerToProto(container, to->add_containers());
  }
  to->set_restart_policy(WordOf(kRestartPolicies, from.restart_policy));
  to->set_hostname(from.hostname);
  to->set_subdomain(from.subdomain);
  to->set_termination_grace_period_seconds(
      absl::ToInt64Seconds(from.termination_grace));
  NetworksToProto(from, to);
  to->set_root_image(from.root_image);
  if (from.host_users) to->set_host_users(*from.host_users);
  if (!(from.resources == ResourceRequirements())) {
    ResourcesToProto(from.resources, to->mutable_resources());
  }
  if (!(from.confinement == Confinement())) {
    ConfinementToProto(from.confinement, to->mutable_security_context());
  }
}

absl::StatusOr<PodSpec> PodSpecFromProto(const v1::Pod& pod) {
  RETURN_IF_ERROR(CheckMeta(pod));
  PodSpec spec;
  spec.name = pod.metadata().name();
  spec.labels.insert(pod.metadata().labels().begin(),
                     pod.metadata().labels().end());
  spec.annotations.insert(pod.metadata().annotations().begin(),
                          pod.metadata().annotations().end());
  RETURN_IF_ERROR(SpecFromProto(pod.spec(), spec));
  return spec;
}

}  // namespace davit
