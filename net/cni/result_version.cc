#include "net/cni/result_version.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/cni/network_config.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

enum class Shape { kIp4AndIp6, kVersionedIps, kIps };

absl::StatusOr<Shape> ShapeOf(absl::string_view version) {
  if (!IsKnownCniVersion(version)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cniVersion \"", version, "\" is not supported"));
  }
  if (CniVersionAtLeast(version, "1.0.0")) return Shape::kIps;
  if (CniVersionAtLeast(version, "0.3.0")) return Shape::kVersionedIps;
  return Shape::kIp4AndIp6;
}

// Of an address or a prefix that a plugin wrote.
bool IsV6(absl::string_view text) { return absl::StrContains(text, ':'); }

void Keep(const CniJson& from, absl::string_view key, CniJson& to) {
  if (const CniJson* value = FindCniMember(from, key)) {
    to[std::string(key)] = *value;
  }
}

// A route with the keys that every version has.
CniJson PlainRoute(const CniJson& route) {
  CniJson plain = CniJson::object();
  Keep(route, "dst", plain);
  Keep(route, "gw", plain);
  return plain;
}

// From ip4 and ip6 to ips and routes.
absl::StatusOr<CniJson> Unfold(CniJson result) {
  CniJson ips = CniJson::array();
  CniJson routes = CniJson::array();
  for (const char* key : {"ip4", "ip6"}) {
    const CniJson* family = FindCniMember(result, key);
    if (family == nullptr) continue;
    if (!family->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(key, " is not an object"));
    }
    ASSIGN_OR_RETURN(std::string address, CniStringMember(*family, "ip", key));
    CniJson ip = {{"address", address}};
    Keep(*family, "gateway", ip);
    ips.push_back(std::move(ip));
    ASSIGN_OR_RETURN(std::vector<CniJson> more,
                     CniObjectListMember(*family, "routes", key));
    for (CniJson& route : more) routes.push_back(std::move(route));
  }
  result.erase("ip4");
  result.erase("ip6");
  if (!ips.empty()) result["ips"] = std::move(ips);
  if (!routes.empty()) result["routes"] = std::move(routes);
  return result;
}

// From ips and routes to ip4 and ip6.
absl::StatusOr<CniJson> Fold(CniJson result) {
  ASSIGN_OR_RETURN(std::vector<CniJson> ips,
                   CniObjectListMember(result, "ips"));
  ASSIGN_OR_RETURN(std::vector<CniJson> routes,
                   CniObjectListMember(result, "routes"));
  for (const char* key : {"interfaces", "ips", "routes"}) result.erase(key);
  for (size_t i = 0; i < ips.size(); ++i) {
    ASSIGN_OR_RETURN(
        std::string address,
        CniStringMember(ips[i], "address", absl::StrCat("ips[", i, "]")));
    CniJson& family = result[IsV6(address) ? "ip6" : "ip4"];
    if (!family.is_null()) continue;  // there is room for one
    family = {{"ip", address}};
    Keep(ips[i], "gateway", family);
  }
  if (!result.contains("ip4") && !result.contains("ip6")) {
    return absl::InvalidArgumentError(
        "ips has no address, which 0.2.0 and older must have");
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    ASSIGN_OR_RETURN(
        std::string dst,
        CniStringMember(routes[i], "dst", absl::StrCat("routes[", i, "]")));
    auto family = result.find(IsV6(dst) ? "ip6" : "ip4");
    if (family == result.end()) continue;
    (*family)["routes"].push_back(PlainRoute(routes[i]));
  }
  return result;
}

// From 1.x to 0.3 and 0.4.
absl::StatusOr<CniJson> AddIpVersions(CniJson result) {
  ASSIGN_OR_RETURN(std::vector<CniJson> ips,
                   CniObjectListMember(result, "ips"));
  for (size_t i = 0; i < ips.size(); ++i) {
    ASSIGN_OR_RETURN(
        std::string address,
        CniStringMember(ips[i], "address", absl::StrCat("ips[", i, "]")));
    ips[i]["version"] = IsV6(address) ? "6" : "4";
  }
  if (!ips.empty()) result["ips"] = std::move(ips);
  ASSIGN_OR_RETURN(std::vector<CniJson> interfaces,
                   CniObjectListMember(result, "interfaces"));
  for (CniJson& interface : interfaces) {
    for (const char* key : {"mtu", "socketPath", "pciID"}) interface.erase(key);
  }
  if (!interfaces.empty()) result["interfaces"] = std::move(interfaces);
  ASSIGN_OR_RETURN(std::vector<CniJson> routes,
                   CniObjectListMember(result, "routes"));
  for (CniJson& route : routes) route = PlainRoute(route);
  if (!routes.empty()) result["routes"] = std::move(routes);
  if (!result.contains("dns")) result["dns"] = CniJson::object();
  return result;
}

// From 0.3 and 0.4 to 1.x.
absl::StatusOr<CniJson> DropIpVersions(CniJson result) {
  ASSIGN_OR_RETURN(std::vector<CniJson> ips,
                   CniObjectListMember(result, "ips"));
  for (CniJson& ip : ips) ip.erase("version");
  if (!ips.empty()) result["ips"] = std::move(ips);
  const CniJson* dns = FindCniMember(result, "dns");
  if (dns != nullptr && dns->empty()) result.erase("dns");
  return result;
}

}  // namespace

absl::StatusOr<CniJson> ConvertCniResult(const CniJson& result,
                                         absl::string_view version) {
  ASSIGN_OR_RETURN(std::string was, CniStringMember(result, "cniVersion"));
  ASSIGN_OR_RETURN(Shape from, ShapeOf(was));
  ASSIGN_OR_RETURN(Shape to, ShapeOf(version));
  CniJson converted = result;
  converted["cniVersion"] = std::string(version);
  if (from == to) return converted;
  // By way of the newest shape.
  if (from == Shape::kIp4AndIp6) {
    ASSIGN_OR_RETURN(converted, Unfold(std::move(converted)));
  }
  ASSIGN_OR_RETURN(converted, DropIpVersions(std::move(converted)));
  if (to == Shape::kIp4AndIp6) return Fold(std::move(converted));
  if (to == Shape::kVersionedIps) return AddIpVersions(std::move(converted));
  return converted;
}

}  // namespace davit
