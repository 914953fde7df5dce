#include "net/cni/result.h"

#include <arpa/inet.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status FieldError(absl::string_view where, absl::string_view value,
                        absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(
      where, " \"", absl::Utf8SafeCHexEscape(value), "\" is not ", expected));
}

bool IsAddress(const std::string& text, int family) {
  in6_addr buffer;
  return text.find('\0') == std::string::npos &&
         inet_pton(family, text.c_str(), &buffer) == 1;
}

absl::Status ValidateAddress(absl::string_view where, const std::string& text) {
  if (IsAddress(text, AF_INET) || IsAddress(text, AF_INET6)) {
    return absl::OkStatus();
  }
  return FieldError(where, text, "an IP address");
}

absl::Status ValidateCidr(absl::string_view where, const std::string& text) {
  size_t slash = text.find('/');
  uint32_t bits = 0;
  if (slash != std::string::npos &&
      absl::SimpleAtoi(text.substr(slash + 1), &bits)) {
    std::string address = text.substr(0, slash);
    if (IsAddress(address, AF_INET) && bits <= 32) return absl::OkStatus();
    if (IsAddress(address, AF_INET6) && bits <= 128) return absl::OkStatus();
  }
  return FieldError(where, text, "an address in CIDR form");
}

void AddOnce(std::vector<std::string>& strings, std::string value) {
  if (std::find(strings.begin(), strings.end(), value) == strings.end()) {
    strings.push_back(std::move(value));
  }
}

absl::Status ReadDns(const CniJson& result, DnsConfig& dns) {
  const CniJson* object = FindCniMember(result, "dns");
  if (object == nullptr) return absl::OkStatus();
  if (!object->is_object()) {
    return absl::InvalidArgumentError("dns is not an object");
  }
  ASSIGN_OR_RETURN(dns.nameservers,
                   CniStringListMember(*object, "nameservers", "dns"));
  ASSIGN_OR_RETURN(dns.domain, CniStringMember(*object, "domain", "dns"));
  ASSIGN_OR_RETURN(dns.search, CniStringListMember(*object, "search", "dns"));
  ASSIGN_OR_RETURN(dns.options, CniStringListMember(*object, "options", "dns"));
  return absl::OkStatus();
}

absl::Status ReadRoutes(const CniJson& object, const std::string& where,
                        InterfaceStatus& status) {
  ASSIGN_OR_RETURN(std::vector<CniJson> routes,
                   CniObjectListMember(object, "routes", where));
  for (size_t i = 0; i < routes.size(); ++i) {
    std::string here =
        absl::StrCat(where, where.empty() ? "" : ".", "routes[", i, "]");
    Route route;
    ASSIGN_OR_RETURN(route.destination,
                     CniStringMember(routes[i], "dst", here));
    RETURN_IF_ERROR(ValidateCidr(here + ".dst", route.destination));
    ASSIGN_OR_RETURN(route.gateway, CniStringMember(routes[i], "gw", here));
    if (!route.gateway.empty()) {
      RETURN_IF_ERROR(ValidateAddress(here + ".gw", route.gateway));
    }
    status.routes.push_back(std::move(route));
  }
  return absl::OkStatus();
}

// One address and its gateway; the keys differ between the shapes.
absl::Status ReadAddress(const CniJson& object, absl::string_view key,
                         const std::string& where, InterfaceStatus& status) {
  ASSIGN_OR_RETURN(std::string address, CniStringMember(object, key, where));
  RETURN_IF_ERROR(ValidateCidr(absl::StrCat(where, ".", key), address));
  status.addresses.push_back(std::move(address));
  ASSIGN_OR_RETURN(std::string gateway,
                   CniStringMember(object, "gateway", where));
  if (gateway.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ValidateAddress(where + ".gateway", gateway));
  AddOnce(status.gateways, std::move(gateway));
  return absl::OkStatus();
}

// 0.1.0 and 0.2.0.
absl::Status ReadIp4AndIp6(const CniJson& result, InterfaceStatus& status) {
  for (const char* key : {"ip4", "ip6"}) {
    const CniJson* ip = FindCniMember(result, key);
    if (ip == nullptr) continue;
    if (!ip->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(key, " is not an object"));
    }
    RETURN_IF_ERROR(ReadAddress(*ip, "ip", key, status));
    RETURN_IF_ERROR(ReadRoutes(*ip, key, status));
  }
  return absl::OkStatus();
}

// 1.1.0 only; 0 if absent.
absl::StatusOr<uint32_t> ReadMtu(const CniJson& interface,
                                 const std::string& where) {
  const CniJson* mtu = FindCniMember(interface, "mtu");
  if (mtu == nullptr) return 0;
  bool good = mtu->is_number_integer() && mtu->get<int64_t>() >= 0 &&
              mtu->get<int64_t>() <= std::numeric_limits<int32_t>::max();
  if (good) return mtu->get<uint32_t>();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ".mtu is not a positive integer"));
}

// Returns the index of the pod's end in "interfaces", or -1.
absl::StatusOr<int64_t> ReadInterfaces(const CniJson& result,
                                       InterfaceStatus& status) {
  ASSIGN_OR_RETURN(std::vector<CniJson> interfaces,
                   CniObjectListMember(result, "interfaces"));
  std::string host_ifname;
  for (size_t i = 0; i < interfaces.size(); ++i) {
    std::string here = absl::StrCat("interfaces[", i, "]");
    ASSIGN_OR_RETURN(std::string name,
                     CniStringMember(interfaces[i], "name", here));
    ASSIGN_OR_RETURN(std::string mac,
                     CniStringMember(interfaces[i], "mac", here));
    ASSIGN_OR_RETURN(std::string sandbox,
                     CniStringMember(interfaces[i], "sandbox", here));
    if (sandbox.empty()) {
      host_ifname = std::move(name);
    } else if (name == status.ifname) {
      status.mac = std::move(mac);
      status.sandbox = std::move(sandbox);
      ASSIGN_OR_RETURN(status.mtu, ReadMtu(interfaces[i], here));
      status.host_ifname = std::move(host_ifname);
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

// 0.3.0 to 1.1.0. `pod_end` is an index of "interfaces", or -1.
absl::Status ReadIps(const CniJson& result, int64_t pod_end,
                     InterfaceStatus& status) {
  ASSIGN_OR_RETURN(std::vector<CniJson> ips,
                   CniObjectListMember(result, "ips"));
  for (size_t i = 0; i < ips.size(); ++i) {
    std::string here = absl::StrCat("ips[", i, "]");
    if (const CniJson* owner = FindCniMember(ips[i], "interface")) {
      if (!owner->is_number_integer()) {
        return absl::InvalidArgumentError(
            absl::StrCat(here, ".interface is not an integer"));
      }
      int64_t index = owner->get<int64_t>();
      if (index >= 0 && index != pod_end) continue;
    }
    RETURN_IF_ERROR(ReadAddress(ips[i], "address", here, status));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CniJson> ParseCniResult(absl::string_view output,
                                       absl::string_view config_version) {
  if (absl::StripAsciiWhitespace(output).empty()) {
    return absl::InvalidArgumentError("nothing");
  }
  ASSIGN_OR_RETURN(CniJson result, ParseCniJson(output));
  if (result.is_null()) result = CniJson::object();
  if (!result.is_object()) {
    return absl::InvalidArgumentError("the document is not an object");
  }
  ASSIGN_OR_RETURN(std::string version, CniStringMember(result, "cniVersion"));
  if (version.empty()) result["cniVersion"] = std::string(config_version);
  return result;
}

absl::StatusOr<InterfaceStatus> InterfaceStatusOfCniResult(
    const CniJson& result, const std::string& network,
    const std::string& ifname) {
  InterfaceStatus status;
  status.network = network;
  status.ifname = ifname;
  // No version has both shapes, so each reader finds its own or nothing.
  RETURN_IF_ERROR(ReadIp4AndIp6(result, status));
  ASSIGN_OR_RETURN(int64_t pod_end, ReadInterfaces(result, status));
  RETURN_IF_ERROR(ReadIps(result, pod_end, status));
  RETURN_IF_ERROR(ReadRoutes(result, "", status));
  RETURN_IF_ERROR(ReadDns(result, status.dns));
  return status;
}

std::optional<CniError> ParseCniError(absl::string_view output) {
  absl::StatusOr<CniJson> json = ParseCniJson(output);
  if (!json.ok()) return std::nullopt;
  const CniJson* code = FindCniMember(*json, "code");
  absl::StatusOr<std::string> msg = CniStringMember(*json, "msg");
  absl::StatusOr<std::string> details = CniStringMember(*json, "details");
  bool good =
      code != nullptr && code->is_number_integer() && msg.ok() && details.ok();
  if (!good) return std::nullopt;
  return CniError{code->get<int>(), *msg, *details};
}

absl::StatusCode StatusCodeOfCniError(int code) {
  switch (code) {
    case 11:
    case 50:
    case 51:
      return absl::StatusCode::kUnavailable;
    case 1:
    case 2:
    case 6:
    case 7:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace davit
