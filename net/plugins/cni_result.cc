#include "net/plugins/cni_result.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/plugins/cni_version.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kIndent = 4;  // as Go prints

// Never throws: bytes that are not UTF-8 are replaced.
std::string Print(const Json& json) {
  return json.dump(kIndent, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
absl::Status Require(const JsonObject& object, absl::string_view key,
                     T* value) {
  std::optional<T> read;
  RETURN_IF_ERROR(object.Read(key, &read));
  if (!read.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(object.PathOf(key), ": missing"));
  }
  *value = *read;
  return absl::OkStatus();
}

absl::StatusOr<CniInterface> ParseInterface(const JsonObject& object) {
  CniInterface interface;
  RETURN_IF_ERROR(object.Read("name", &interface.name));
  RETURN_IF_ERROR(object.Read("mac", &interface.mac));
  RETURN_IF_ERROR(object.Read("sandbox", &interface.sandbox));
  return interface;
}

absl::StatusOr<CniIp> ParseIp(const JsonObject& object) {
  CniIp ip;
  RETURN_IF_ERROR(object.Read("interface", &ip.interface));
  RETURN_IF_ERROR(Require(object, "address", &ip.address));
  RETURN_IF_ERROR(object.Read("gateway", &ip.gateway));
  return ip;
}

// Parses every object of a list with `parse`.
template <typename T>
absl::Status ParseList(const JsonObject& object, absl::string_view key,
                       absl::StatusOr<T> (*parse)(const JsonObject&),
                       std::vector<T>* out) {
  ASSIGN_OR_RETURN(std::vector<JsonObject> elements, object.Objects(key));
  for (const JsonObject& element : elements) {
    ASSIGN_OR_RETURN(T parsed, parse(element));
    out->push_back(std::move(parsed));
  }
  return absl::OkStatus();
}

// ip4 or ip6 of versions up to 0.2.0.
absl::Status ParseOldIp(const JsonObject& object, absl::string_view key,
                        CniResult* result) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> old, object.Object(key));
  if (!old.has_value()) return absl::OkStatus();
  CniIp ip;
  RETURN_IF_ERROR(Require(*old, "ip", &ip.address));
  RETURN_IF_ERROR(old->Read("gateway", &ip.gateway));
  result->ips.push_back(ip);
  return ParseList(*old, "routes", ParseCniRoute, &result->routes);
}

bool IsOldShape(const std::string& version) {
  return version == "0.1.0" || version == "0.2.0";
}

bool IsAtLeast1(const std::string& version) {
  return VersionAtLeast(version, "1.0.0").value_or(true);
}

Json FormatDns(const CniDns& dns) {
  Json json = Json::object();
  if (!dns.nameservers.empty()) json["nameservers"] = dns.nameservers;
  if (!dns.domain.empty()) json["domain"] = dns.domain;
  if (!dns.search.empty()) json["search"] = dns.search;
  if (!dns.options.empty()) json["options"] = dns.options;
  return json;
}

Json FormatRoute(const CniRoute& route) {
  Json json = {{"dst", route.destination.ToString()}};
  if (route.gateway.has_value()) json["gw"] = route.gateway->ToString();
  for (const auto& [key, value] :
       {std::pair("mtu", route.mtu), std::pair("advmss", route.advmss),
        std::pair("priority", route.priority), std::pair("table", route.table),
        std::pair("scope", route.scope)}) {
    if (value.has_value()) json[key] = *value;
  }
  return json;
}

Json FormatInterface(const CniInterface& interface) {
  Json json = {{"name", interface.name}};
  if (!interface.mac.empty()) json["mac"] = interface.mac;
  if (!interface.sandbox.empty()) json["sandbox"] = interface.sandbox;
  return json;
}

Json FormatIp(const CniIp& ip, bool with_version) {
  Json json = Json::object();
  if (with_version) json["version"] = ip.address.address.is_v6() ? "6" : "4";
  if (ip.interface.has_value()) json["interface"] = *ip.interface;
  json["address"] = ip.address.ToString();
  if (ip.gateway.has_value()) json["gateway"] = ip.gateway->ToString();
  return json;
}

absl::StatusOr<std::string> FormatOldResult(const CniResult& result,
                                            const std::string& version) {
  Json json = {{"cniVersion", version}};
  for (bool v6 : {false, true}) {
    for (const CniIp& ip : result.ips) {
      if (ip.address.address.is_v6() != v6) continue;
      Json old = {{"ip", ip.address.ToString()}};
      if (ip.gateway.has_value()) old["gateway"] = ip.gateway->ToString();
      for (const CniRoute& route : result.routes) {
        if (route.destination.address.is_v6() != v6) continue;
        old["routes"].push_back(
            FormatRoute({route.destination, route.gateway}));
      }
      json[v6 ? "ip6" : "ip4"] = std::move(old);
      break;
    }
  }
  if (!json.contains("ip4") && !json.contains("ip6")) {
    return absl::InvalidArgumentError("cannot convert: no valid IP addresses");
  }
  json["dns"] = FormatDns(result.dns);
  return Print(json);
}

}  // namespace

absl::StatusOr<CniRoute> ParseCniRoute(const JsonObject& object) {
  CniRoute route;
  RETURN_IF_ERROR(Require(object, "dst", &route.destination));
  RETURN_IF_ERROR(object.Read("gw", &route.gateway));
  RETURN_IF_ERROR(object.Read("mtu", &route.mtu));
  RETURN_IF_ERROR(object.Read("advmss", &route.advmss));
  RETURN_IF_ERROR(object.Read("priority", &route.priority));
  RETURN_IF_ERROR(object.Read("table", &route.table));
  RETURN_IF_ERROR(object.Read("scope", &route.scope));
  return route;
}

absl::StatusOr<CniDns> ParseCniDns(const JsonObject& object) {
  CniDns dns;
  RETURN_IF_ERROR(object.Read("nameservers", &dns.nameservers));
  RETURN_IF_ERROR(object.Read("domain", &dns.domain));
  RETURN_IF_ERROR(object.Read("search", &dns.search));
  RETURN_IF_ERROR(object.Read("options", &dns.options));
  return dns;
}

absl::StatusOr<CniResult> ParseCniResult(const JsonObject& object,
                                         const std::string& default_version) {
  std::string version = default_version;
  RETURN_IF_ERROR(object.Read("cniVersion", &version));
  if (!IsSupportedCniVersion(version)) {
    return absl::InvalidArgumentError(absl::StrCat(
        object.PathOf("cniVersion"), ": unsupported version ", version));
  }
  CniResult result;
  if (IsOldShape(version)) {
    RETURN_IF_ERROR(ParseOldIp(object, "ip4", &result));
    RETURN_IF_ERROR(ParseOldIp(object, "ip6", &result));
  } else {
    RETURN_IF_ERROR(
        ParseList(object, "interfaces", ParseInterface, &result.interfaces));
    RETURN_IF_ERROR(ParseList(object, "ips", ParseIp, &result.ips));
    RETURN_IF_ERROR(ParseList(object, "routes", ParseCniRoute, &result.routes));
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> dns, object.Object("dns"));
  if (dns.has_value()) {
    ASSIGN_OR_RETURN(result.dns, ParseCniDns(*dns));
  }
  return result;
}

absl::StatusOr<std::string> FormatCniResult(const CniResult& result,
                                            const std::string& version) {
  if (IsOldShape(version)) return FormatOldResult(result, version);
  const bool at_least_1 = IsAtLeast1(version);
  Json json = {{"cniVersion", version}};
  for (const CniInterface& interface : result.interfaces) {
    json["interfaces"].push_back(FormatInterface(interface));
  }
  for (const CniIp& ip : result.ips) {
    json["ips"].push_back(FormatIp(ip, /*with_version=*/!at_least_1));
  }
  for (const CniRoute& route : result.routes) {
    json["routes"].push_back(FormatRoute(route));
  }
  if (!at_least_1 || !result.dns.empty()) json["dns"] = FormatDns(result.dns);
  return Print(json);
}

std::string FormatPassedResult(const JsonObject& object,
                               const std::string& version) {
  Json json = object.json();
  json["cniVersion"] = version;
  return Print(json);
}

}  // namespace davit
