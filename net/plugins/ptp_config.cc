#include "net/plugins/ptp_config.h"

#include <map>
#include <string>

#include "absl/strings/str_format.h"
#include "net/netlink/stable_hash.h"
#include "net/plugins/cni_args.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int64_t kMaxMtu = 65535;  // veth's

// The text of the MAC address that the runtime asks for; empty for none.
absl::StatusOr<std::string> RequestedMac(
    const PluginRequest& request,
    const std::map<std::string, std::string>& cni_args) {
  std::string mac;
  if (auto found = cni_args.find("MAC"); found != cni_args.end()) {
    mac = found->second;
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> args,
                   request.config.Object("args"));
  if (args.has_value()) {
    ASSIGN_OR_RETURN(std::optional<JsonObject> cni, args->Object("cni"));
    if (cni.has_value()) RETURN_IF_ERROR(cni->Read("mac", &mac));
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   request.config.Object("runtimeConfig"));
  if (runtime.has_value()) RETURN_IF_ERROR(runtime->Read("mac", &mac));
  return mac;
}

absl::StatusOr<std::optional<MacAddress>> ChooseMac(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(auto cni_args, ParseCniArgs(request.args));
  ASSIGN_OR_RETURN(std::string text, RequestedMac(request, cni_args));
  std::optional<MacAddress> mac;
  if (!text.empty()) {
    ASSIGN_OR_RETURN(mac, MacAddress::Parse(text), "mac");
  } else if (!cni_args["K8S_POD_NAME"].empty()) {
    mac = MacAddress::FromHash(
        StableHash({request.network, cni_args["K8S_POD_NAMESPACE"],
                    cni_args["K8S_POD_NAME"], request.ifname}));
  }
  return mac;
}

absl::Status CheckBackend(const JsonObject& config) {
  std::string backend;
  RETURN_IF_ERROR(config.Read("ipMasqBackend", &backend));
  // Both mean masquerading, which is always nftables' work here.
  if (backend.empty() || backend == "iptables" || backend == "nftables") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("ipMasqBackend: unknown backend \"%s\"", backend));
}

}  // namespace

absl::StatusOr<PtpConfig> ParsePtpConfig(const PluginRequest& request) {
  PtpConfig config;
  RETURN_IF_ERROR(request.config.Read("ipMasq", &config.ip_masq));
  RETURN_IF_ERROR(CheckBackend(request.config));
  std::optional<int64_t> mtu;
  RETURN_IF_ERROR(request.config.Read("mtu", &mtu));
  if (mtu.value_or(0) < 0 || mtu.value_or(0) > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrFormat("mtu: %d is not in 0..%d", *mtu, kMaxMtu));
  }
  config.mtu = static_cast<uint32_t>(mtu.value_or(0));
  ASSIGN_OR_RETURN(std::optional<JsonObject> dns, request.config.Object("dns"));
  if (dns.has_value()) {
    ASSIGN_OR_RETURN(config.dns, ParseCniDns(*dns));
  }
  ASSIGN_OR_RETURN(config.mac, ChooseMac(request));
  return config;
}

absl::StatusOr<std::optional<CniResult>> ParsePrevResult(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> object,
                   request.config.Object("prevResult"));
  std::optional<CniResult> result;
  if (object.has_value()) {
    ASSIGN_OR_RETURN(result, ParseCniResult(*object, request.cni_version));
  }
  return result;
}

}  // namespace davit
