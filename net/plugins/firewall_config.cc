#include "net/plugins/firewall_config.h"

#include "absl/strings/str_format.h"
#include "net/plugins/cni_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// nf_tables allows 255 characters, iptables 28.
constexpr size_t kMaxChainName = 28;

absl::Status CheckBackend(const JsonObject& config) {
  std::string backend, zone;
  RETURN_IF_ERROR(config.Read("backend", &backend));
  RETURN_IF_ERROR(config.Read("firewalldZone", &zone));
  if (backend != "firewalld") return absl::OkStatus();
  return CniError(CniErrorCode::kUnsupportedField,
                  "backend: \"firewalld\" is not supported; leave it out to "
                  "have rules of nftables");
}

absl::StatusOr<FirewallPod::Ingress> ReadIngress(const JsonObject& config) {
  std::string policy;
  RETURN_IF_ERROR(config.Read("ingressPolicy", &policy));
  if (policy.empty() || policy == "open") return FirewallPod::Ingress::kOpen;
  if (policy == "same-bridge") return FirewallPod::Ingress::kSameBridge;
  if (policy == "isolated") return FirewallPod::Ingress::kIsolated;
  return absl::InvalidArgumentError(
      absl::StrFormat("unknown ingress policy: \"%s\"", policy));
}

}  // namespace

absl::StatusOr<FirewallConfig> ParseFirewallConfig(
    const PluginRequest& request) {
  FirewallConfig config;
  RETURN_IF_ERROR(CheckBackend(request.config));
  std::string chain;
  RETURN_IF_ERROR(request.config.Read("iptablesAdminChainName", &chain));
  if (chain.size() > kMaxChainName) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "iptablesAdminChainName: \"%s\" is longer than the %d characters of "
        "iptables",
        chain, kMaxChainName));
  }
  if (!chain.empty()) config.admin_chain = chain;
  ASSIGN_OR_RETURN(config.ingress, ReadIngress(request.config));
  return config;
}

}  // namespace davit
