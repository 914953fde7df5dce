#include "net/plugins/static_ipam_config.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "net/plugins/cni_args.h"
#include "net/plugins/cni_version.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::StatusOr<std::vector<CniIp>> ParseAddresses(const JsonObject& ipam) {
  std::vector<CniIp> ips;
  ASSIGN_OR_RETURN(std::vector<JsonObject> objects, ipam.Objects("addresses"));
  for (const JsonObject& object : objects) {
    std::optional<IpPrefix> address;
    CniIp ip;
    RETURN_IF_ERROR(object.Read("address", &address));
    RETURN_IF_ERROR(object.Read("gateway", &ip.gateway));
    if (!address.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(object.PathOf("address"), ": missing"));
    }
    ip.address = *address;
    ips.push_back(ip);
  }
  return ips;
}

// IP and GATEWAY of CNI_ARGS.
absl::StatusOr<std::vector<CniIp>> ParseArgs(const std::string& text) {
  std::vector<CniIp> ips;
  ASSIGN_OR_RETURN(auto args, ParseCniArgs(text));
  for (absl::string_view item :
       absl::StrSplit(args["IP"], ',', absl::SkipWhitespace())) {
    ASSIGN_OR_RETURN(IpPrefix address,
                     IpPrefix::Parse(absl::StripAsciiWhitespace(item)),
                     "ARGS: IP");
    ips.push_back({std::nullopt, address, std::nullopt});
  }
  for (absl::string_view item :
       absl::StrSplit(args["GATEWAY"], ',', absl::SkipWhitespace())) {
    ASSIGN_OR_RETURN(IpAddress gateway,
                     IpAddress::Parse(absl::StripAsciiWhitespace(item)),
                     "ARGS: GATEWAY");
    for (CniIp& ip : ips) {
      if (ip.address.Contains(gateway)) ip.gateway = gateway;
    }
  }
  return ips;
}

// Replaces `ips` by those of the member "ips", if it has any.
absl::Status ReplaceByIps(const std::optional<JsonObject>& object,
                          std::vector<CniIp>* ips) {
  std::vector<std::string> texts;
  if (object.has_value()) RETURN_IF_ERROR(object->Read("ips", &texts));
  if (texts.empty()) return absl::OkStatus();
  ips->clear();
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(IpPrefix address, IpPrefix::Parse(text),
                     object->PathOf("ips"));
    ips->push_back({std::nullopt, address, std::nullopt});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CniIp>> ParseIps(const PluginRequest& request,
                                            const JsonObject& ipam) {
  ASSIGN_OR_RETURN(std::vector<CniIp> ips, ParseAddresses(ipam));
  ASSIGN_OR_RETURN(std::vector<CniIp> by_args, ParseArgs(request.args));
  ips.insert(ips.end(), by_args.begin(), by_args.end());
  ASSIGN_OR_RETURN(std::optional<JsonObject> args,
                   request.config.Object("args"));
  if (args.has_value()) {
    ASSIGN_OR_RETURN(std::optional<JsonObject> cni, args->Object("cni"));
    RETURN_IF_ERROR(ReplaceByIps(cni, &ips));
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   request.config.Object("runtimeConfig"));
  RETURN_IF_ERROR(ReplaceByIps(runtime, &ips));
  return ips;
}

absl::Status CheckCount(const std::vector<CniIp>& ips,
                        const std::string& version) {
  auto v6 = std::count_if(ips.begin(), ips.end(), [](const CniIp& ip) {
    return ip.address.address.is_v6();
  });
  auto v4 = static_cast<std::ptrdiff_t>(ips.size()) - v6;
  if ((v4 > 1 || v6 > 1) && !VersionAtLeast(version, "0.3.0").value_or(false)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "CNI version %s does not support more than 1 address per family",
        version));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CniResult> ParseStaticIpamConfig(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> ipam,
                   request.config.Object("ipam"));
  if (!ipam.has_value()) {
    return absl::InvalidArgumentError("IPAM config missing 'ipam' key");
  }
  CniResult result;
  ASSIGN_OR_RETURN(result.ips, ParseIps(request, *ipam));
  RETURN_IF_ERROR(CheckCount(result.ips, request.cni_version));
  ASSIGN_OR_RETURN(std::vector<JsonObject> routes, ipam->Objects("routes"));
  for (const JsonObject& object : routes) {
    ASSIGN_OR_RETURN(CniRoute route, ParseCniRoute(object));
    result.routes.push_back(route);
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> dns, ipam->Object("dns"));
  if (dns.has_value()) {
    ASSIGN_OR_RETURN(result.dns, ParseCniDns(*dns));
  }
  return result;
}

}  // namespace davit
