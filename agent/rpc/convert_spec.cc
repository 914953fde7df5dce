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

// --- Spec, to proto ---

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
  if (from.add_capabilities.empty() && from.drop_capabilities.empty()) return;
  v1::Capabilities* capabilities = to->mutable_capabilities();
  SetStrings(from.add_capabilities, capabilities->mutable_add());
  SetStrings(from.drop_capabilities, capabilities->mutable_drop());
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
  }
  SecurityToProto(from.security, to);
}

// resolv.conf(5) writes an option as "name" or "name:value".
void DnsToProto(const DnsConfig& from, v1::PodSpec* spec) {
  if (from == DnsConfig()) return;
  v1::PodDNSConfig* to = spec->mutable_dns_config();
  SetStrings(from.nameservers, to->mutable_nameservers());
  SetStrings(from.search, to->mutable_searches());
  for (const std::string& option : from.options) {
    std::pair<std::string, std::string> parts =
        absl::StrSplit(option, absl::MaxSplits(':', 1));
    v1::PodDNSConfigOption* out = to->add_options();
    out->set_name(parts.first);
    if (option.size() > parts.first.size()) out->set_value(parts.second);
  }
}

// --- Spec, from proto ---

SecurityContext SecurityFromProto(const v1::SecurityContext& from) {
  SecurityContext to;
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
         port.protocol().empty() ? std::string("TCP") : port.protocol()});
  }
  to.security = SecurityFromProto(from.security_context());
  return to;
}

absl::StatusOr<DnsConfig> DnsFromProto(const v1::PodDNSConfig& from) {
  DnsConfig to;
  to.nameservers = Strings(from.nameservers());
  to.search = Strings(from.searches());
  for (int i = 0; i < from.options_size(); ++i) {
    const v1::PodDNSConfigOption& option = from.options(i);
    if (option.name().empty() ||
        absl::string_view(option.name()).find(':') != absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "spec.dnsConfig.options[%d].name: \"%s\" must be a word without ':'",
          i, option.name()));
    }
    to.options.push_back(option.has_value()
                             ? absl::StrCat(option.name(), ":", option.value())
                             : option.name());
  }
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

absl::StatusOr<bool> ParseDnsPolicy(const std::string& word) {
  if (word == "None") return true;
  if (word.empty() || word == "Default" || word == "ClusterFirst") return false;
  return absl::InvalidArgumentError(absl::StrFormat(
      "spec.dnsPolicy: unknown value \"%s\"; one of \"Default\", "
      "\"ClusterFirst\", \"None\" is wanted",
      word));
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
  to.host_network = from.host_network();
  if (from.has_termination_grace_period_seconds()) {
    to.termination_grace =
        absl::Seconds(from.termination_grace_period_seconds());
  }
  ASSIGN_OR_RETURN(to.dns_none, ParseDnsPolicy(from.dns_policy()));
  ASSIGN_OR_RETURN(to.dns, DnsFromProto(from.dns_config()));
  to.root_image = from.root_image();
  to.networks = Strings(from.networks());
  return absl::OkStatus();
}

}  // namespace

void SpecToProto(const PodSpec& from, v1::PodSpec* to) {
  for (const ContainerSpec& container : from.containers) {
    ContainerToProto(container, to->add_containers());
  }
  to->set_restart_policy(WordOf(kRestartPolicies, from.restart_policy));
  to->set_hostname(from.hostname);
  to->set_host_network(from.host_network);
  to->set_termination_grace_period_seconds(
      absl::ToInt64Seconds(from.termination_grace));
  to->set_dns_policy(from.dns_none ? "None" : "Default");
  DnsToProto(from.dns, to);
  to->set_root_image(from.root_image);
  SetStrings(from.networks, to->mutable_networks());
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
