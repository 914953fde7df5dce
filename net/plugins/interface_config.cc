#include "net/plugins/interface_config.h"

#include <net/if.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/stable_hash.h"
#include "net/plugins/cni_args.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int64_t kMaxMtu = 65535;  // veth's and the bridge's

// The text of the MAC address that the runtime asks for; empty for none.
absl::StatusOr<std::string> RequestedMac(
    const PluginRequest& request, MacKey mac_key,
    const std::map<std::string, std::string>& cni_args) {
  std::string mac;
  if (mac_key == MacKey::kRead) {
    RETURN_IF_ERROR(request.config.Read("mac", &mac));
  }
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
    const PluginRequest& request, MacKey mac_key) {
  ASSIGN_OR_RETURN(auto cni_args, ParseCniArgs(request.args));
  ASSIGN_OR_RETURN(std::string text, RequestedMac(request, mac_key, cni_args));
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

absl::Status ReadMtu(const JsonObject& config, uint32_t* out) {
  std::optional<int64_t> mtu;
  RETURN_IF_ERROR(config.Read("mtu", &mtu));
  if (mtu.value_or(0) < 0 || mtu.value_or(0) > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrFormat("mtu: %d is not in 0..%d", *mtu, kMaxMtu));
  }
  *out = static_cast<uint32_t>(mtu.value_or(0));
  return absl::OkStatus();
}

absl::Status ReadHostIfname(const JsonObject& config, std::string* out) {
  constexpr char kKey[] = "hostInterfaceName";
  RETURN_IF_ERROR(config.Read(kKey, out));
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   config.Object("runtimeConfig"));
  if (runtime.has_value()) RETURN_IF_ERROR(runtime->Read(kKey, out));
  return out->empty() ? absl::OkStatus() : CheckInterfaceName(kKey, *out);
}

}  // namespace

absl::Status CheckInterfaceName(absl::string_view field,
                                absl::string_view name) {
  // dev_valid_name() of the kernel.
  bool valid = !name.empty() && name.size() < IFNAMSIZ && name != "." &&
               name != ".." &&
               std::all_of(name.begin(), name.end(), [](char c) {
                 return c != '/' && c != ':' && c != '\0' &&
                        !absl::ascii_isspace(static_cast<unsigned char>(c));
               });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: \"%s\" is no interface name of 1 to %d bytes", field,
                      absl::CHexEscape(name), IFNAMSIZ - 1));
}

absl::StatusOr<InterfaceConfig> ParseInterfaceConfigForDel(
    const PluginRequest& request) {
  InterfaceConfig config;
  RETURN_IF_ERROR(request.config.Read("ipMasq", &config.ip_masq));
  ASSIGN_OR_RETURN(std::optional<JsonObject> ipam,
                   request.config.Object("ipam"));
  std::string type;
  if (ipam.has_value()) RETURN_IF_ERROR(ipam->Read("type", &type));
  config.has_ipam = !type.empty();
  return config;
}

absl::StatusOr<InterfaceConfig> ParseInterfaceConfig(
    const PluginRequest& request, MacKey mac_key) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfigForDel(request));
  RETURN_IF_ERROR(ReadHostIfname(request.config, &config.host_ifname));
  RETURN_IF_ERROR(CheckBackend(request.config));
  RETURN_IF_ERROR(ReadMtu(request.config, &config.mtu));
  RETURN_IF_ERROR(request.config.Read("enabledad", &config.enable_dad));
  ASSIGN_OR_RETURN(std::optional<JsonObject> dns, request.config.Object("dns"));
  if (dns.has_value()) {
    ASSIGN_OR_RETURN(config.dns, ParseCniDns(*dns));
  }
  ASSIGN_OR_RETURN(config.mac, ChooseMac(request, mac_key));
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
