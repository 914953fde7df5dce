#include "net/cni_request.h"

#include <arpa/inet.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMacBytes = 6;

std::string Named(absl::string_view network) {
  return absl::StrCat("network \"", network, "\"");
}

absl::Status FieldError(absl::string_view field, absl::string_view value,
                        absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(
      field, " \"", absl::Utf8SafeCHexEscape(value), "\" ", problem));
}

// CNI_ARGS is "K=V;K=V", which has no way to quote.
absl::Status ValidateArg(absl::string_view field, absl::string_view text) {
  bool good = std::none_of(text.begin(), text.end(), [](char c) {
    return c == ';' || c == '=' || absl::ascii_iscntrl(c);
  });
  if (good) return absl::OkStatus();
  return FieldError(field, text, "holds ';', '=' or control characters");
}

// The address of "address" or "address/length" in network byte order; empty if
// it is neither.
std::string AddressBytes(const std::string& text) {
  std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (text.find('\0') != std::string::npos || parts.size() > 2) return "";
  for (int family : {AF_INET, AF_INET6}) {
    std::string bytes(family == AF_INET ? 4 : 16, '\0');
    if (inet_pton(family, parts[0].c_str(), bytes.data()) != 1) continue;
    uint32_t length = 0;
    bool good = parts.size() == 1 || (absl::SimpleAtoi(parts[1], &length) &&
                                      length <= bytes.size() * 8);
    return good ? bytes : "";
  }
  return "";
}

bool IsMac(absl::string_view text) {
  std::vector<absl::string_view> bytes = absl::StrSplit(text, ':');
  return bytes.size() == kMacBytes &&
         std::all_of(bytes.begin(), bytes.end(), [](absl::string_view byte) {
           return byte.size() == 2 && absl::ascii_isxdigit(byte[0]) &&
                  absl::ascii_isxdigit(byte[1]);
         });
}

absl::Status ValidateJoin(const NetworkRequest& join) {
  RETURN_IF_ERROR(ValidateCniIfname(join.ifname));
  for (const std::string& ip : join.ips) {
    if (AddressBytes(ip).empty()) {
      return FieldError("ips", ip, "is not an IP address");
    }
  }
  if (!join.mac.empty() && !IsMac(join.mac)) {
    return FieldError("mac", join.mac, "is not a MAC address");
  }
  if (!join.host_ifname.empty()) {
    RETURN_IF_ERROR(ValidateCniIfname(join.host_ifname), "host_ifname");
  }
  for (const auto& [key, value] : join.args) {
    RETURN_IF_ERROR(ValidateArg("args", key));
    RETURN_IF_ERROR(ValidateArg("args", value));
    if (key.empty()) return FieldError("args", key, "is no key");
  }
  for (const auto& [name, value] : join.capability_args) {
    RETURN_IF_ERROR(ParseCniJson(value),
                    absl::StrCat("capability_args \"",
                                 absl::Utf8SafeCHexEscape(name), "\""));
  }
  return absl::OkStatus();
}

absl::Status ValidatePortMapping(const PortMapping& mapping) {
  if (mapping.host_port == 0 || mapping.container_port == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "port_mappings: host_port ", mapping.host_port, " to container_port ",
        mapping.container_port, ": ports are 1 to 65535"));
  }
  constexpr absl::string_view kProtocols[] = {"tcp", "udp", "sctp"};
  if (std::find(std::begin(kProtocols), std::end(kProtocols),
                mapping.protocol) == std::end(kProtocols)) {
    return FieldError("port_mappings: protocol", mapping.protocol,
                      "is not tcp, udp or sctp");
  }
  bool bare =
      mapping.host_ip.empty() || (!AddressBytes(mapping.host_ip).empty() &&
                                  !absl::StrContains(mapping.host_ip, '/'));
  if (bare) return absl::OkStatus();
  return FieldError("port_mappings: host_ip", mapping.host_ip,
                    "is not an IP address");
}

absl::Status ValidateBandwidth(const BandwidthLimits& limits) {
  for (auto [name, rate, burst] :
       {std::tuple("ingress", limits.ingress_rate, limits.ingress_burst),
        std::tuple("egress", limits.egress_rate, limits.egress_burst)}) {
    if ((rate == 0) != (burst == 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("bandwidth: ", name, "_rate and ", name,
                       "_burst are set together or not at all"));
    }
  }
  return absl::OkStatus();
}

CniJson PortMappingsJson(const std::vector<PortMapping>& mappings) {
  CniJson list = CniJson::array();
  for (const PortMapping& mapping : mappings) {
    CniJson json = {{"hostPort", mapping.host_port},
                    {"containerPort", mapping.container_port},
                    {"protocol", mapping.protocol}};
    if (!mapping.host_ip.empty()) json["hostIP"] = mapping.host_ip;
    list.push_back(std::move(json));
  }
  return list;
}

CniJson BandwidthJson(const BandwidthLimits& limits) {
  CniJson json = CniJson::object();
  if (limits.ingress_rate > 0) {
    json["ingressRate"] = limits.ingress_rate;
    json["ingressBurst"] = limits.ingress_burst;
  }
  if (limits.egress_rate > 0) {
    json["egressRate"] = limits.egress_rate;
    json["egressBurst"] = limits.egress_burst;
  }
  return json;
}

// What is asked for by capability, but for "cgroupPath".
CniJson AskedCapabilities(const PodNetworkRequest& request, size_t index) {
  const NetworkRequest& join = request.networks[index];
  CniJson asked = CniJson::object();
  for (const auto& [name, value] : join.capability_args) {
    asked[name] = ParseCniJson(value).value_or(CniJson());
  }
  if (!join.ips.empty()) asked["ips"] = join.ips;
  if (!join.mac.empty()) asked["mac"] = join.mac;
  if (!join.aliases.empty()) asked["aliases"] = join.aliases;
  if (!join.host_ifname.empty()) asked["hostInterfaceName"] = join.host_ifname;
  if (index > 0) return asked;
  if (!request.port_mappings.empty()) {
    asked["portMappings"] = PortMappingsJson(request.port_mappings);
  }
  CniJson bandwidth = BandwidthJson(request.bandwidth);
  if (!bandwidth.empty()) asked["bandwidth"] = std::move(bandwidth);
  return asked;
}

}  // namespace

absl::Status ValidatePodNetworkRequest(const PodNetworkRequest& request) {
  RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", request.pod_id));
  RETURN_IF_ERROR(ValidateArg("pod_name", request.pod_name));
  std::set<std::string> ifnames;
  for (const NetworkRequest& join : request.networks) {
    RETURN_IF_ERROR(ValidateCniIdentifier("network", join.network));
    RETURN_IF_ERROR(ValidateJoin(join), Named(join.network));
    if (!ifnames.insert(join.ifname).second) {
      return absl::InvalidArgumentError(absl::StrCat(Named(join.network),
                                                     ": ifname \"", join.ifname,
                                                     "\" is asked for twice"));
    }
  }
  for (const PortMapping& mapping : request.port_mappings) {
    RETURN_IF_ERROR(ValidatePortMapping(mapping));
  }
  return ValidateBandwidth(request.bandwidth);
}

CniAttachment BareCniAttachmentFor(const PodNetworkRequest& request,
                                   size_t index) {
  const NetworkRequest& join = request.networks[index];
  CniAttachment attachment;
  attachment.container_id = request.pod_id;
  attachment.netns = request.netns_path;
  attachment.ifname = join.ifname;
  // Go's plugins refuse keys that they don't know unless the first one is
  // there.
  attachment.args = {{"IgnoreUnknown", "1"},
                     {"K8S_POD_NAMESPACE", "default"},
                     {"K8S_POD_NAME", request.pod_name},
                     {"K8S_POD_INFRA_CONTAINER_ID", request.pod_id}};
  for (const auto& arg : join.args) {
    auto same =
        std::find_if(attachment.args.begin(), attachment.args.end(),
                     [&](const auto& a) { return a.first == arg.first; });
    if (same == attachment.args.end()) {
      attachment.args.push_back(arg);
    } else {
      same->second = arg.second;
    }
  }
  return attachment;
}

absl::StatusOr<CniAttachment> CniAttachmentFor(
    const PodNetworkRequest& request, size_t index,
    const CniNetworkConfig& network) {
  CniAttachment attachment = BareCniAttachmentFor(request, index);
  attachment.capability_args = AskedCapabilities(request, index);
  for (const auto& [name, value] : attachment.capability_args.items()) {
    if (CniHasCapability(network, name) || IsCniArgsCapability(name)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        Named(network.name), ": no plugin of it declares the capability \"",
        absl::Utf8SafeCHexEscape(name), "\", which the pod asks for"));
  }
  if (!request.cgroup_path.empty()) {
    attachment.capability_args["cgroupPath"] = request.cgroup_path;
  }
  return attachment;
}

absl::Status ExpectWhatWasAskedFor(const NetworkRequest& join,
                                   const InterfaceStatus& got) {
  auto differs = [](absl::string_view what, absl::string_view asked,
                    absl::string_view given) {
    return absl::FailedPreconditionError(
        absl::StrCat("asked for ", what, " ", asked, ", but the plugins gave [",
                     given, "]"));
  };
  for (const std::string& ip : join.ips) {
    bool given = std::any_of(got.addresses.begin(), got.addresses.end(),
                             [&](const std::string& address) {
                               return AddressBytes(address) == AddressBytes(ip);
                             });
    if (!given) return differs("ip", ip, absl::StrJoin(got.addresses, ", "));
  }
  if (!join.mac.empty() && !absl::EqualsIgnoreCase(join.mac, got.mac)) {
    return differs("mac", join.mac, got.mac);
  }
  if (!join.host_ifname.empty() && join.host_ifname != got.host_ifname) {
    return differs("host interface", join.host_ifname, got.host_ifname);
  }
  return absl::OkStatus();
}

}  // namespace davit
