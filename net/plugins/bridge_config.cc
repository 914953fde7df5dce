#include "net/plugins/bridge_config.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int64_t kMaxVlan = 4094;

absl::StatusOr<uint16_t> ReadTrunkId(const JsonObject& item, const char* key,
                                     const std::optional<int64_t>& id) {
  if (*id > 0 && *id <= kMaxVlan) return static_cast<uint16_t>(*id);
  return absl::InvalidArgumentError(
      absl::StrFormat("incorrect trunk %s parameter: %s: %d is not in 1..%d",
                      key, item.PathOf(key), *id, kMaxVlan));
}

// One element of vlanTrunk: a range, an id, or both.
absl::Status ReadTrunkItem(const JsonObject& item,
                           std::vector<PortVlan>* trunk) {
  std::optional<int64_t> min_id, max_id, id;
  RETURN_IF_ERROR(item.Read("minID", &min_id));
  RETURN_IF_ERROR(item.Read("maxID", &max_id));
  RETURN_IF_ERROR(item.Read("id", &id));
  if (min_id.has_value() != max_id.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "minID and maxID should be configured simultaneously, ",
        item.PathOf(min_id.has_value() ? "maxID" : "minID"), " is missing"));
  }
  if (min_id.has_value()) {
    PortVlan range;
    ASSIGN_OR_RETURN(range.first, ReadTrunkId(item, "minID", min_id));
    ASSIGN_OR_RETURN(range.last, ReadTrunkId(item, "maxID", max_id));
    if (range.last < range.first) {
      return absl::InvalidArgumentError(
          absl::StrCat("minID is greater than maxID in trunk parameter: ",
                       item.PathOf("minID")));
    }
    trunk->push_back(range);
  }
  if (id.has_value()) {
    PortVlan single;
    ASSIGN_OR_RETURN(single.first, ReadTrunkId(item, "id", id));
    single.last = single.first;
    trunk->push_back(single);
  }
  return absl::OkStatus();
}

// In order, with ranges that overlap or touch made one.
std::vector<PortVlan> Merge(std::vector<PortVlan> vlans) {
  std::sort(
      vlans.begin(), vlans.end(),
      [](const PortVlan& a, const PortVlan& b) { return a.first < b.first; });
  std::vector<PortVlan> merged;
  for (const PortVlan& vlan : vlans) {
    if (!merged.empty() && vlan.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, vlan.last);
    } else {
      merged.push_back(vlan);
    }
  }
  return merged;
}

absl::Status ReadVlans(const JsonObject& json, BridgeConfig* config) {
  std::optional<int64_t> vlan;
  RETURN_IF_ERROR(json.Read("vlan", &vlan));
  if (vlan.value_or(0) < 0 || vlan.value_or(0) > kMaxVlan) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "invalid VLAN ID %d (must be between 0 and %d)", *vlan, kMaxVlan));
  }
  config->vlan = static_cast<uint16_t>(vlan.value_or(0));
  ASSIGN_OR_RETURN(std::vector<JsonObject> trunk, json.Objects("vlanTrunk"));
  std::vector<PortVlan> vlans;
  for (const JsonObject& item : trunk) {
    RETURN_IF_ERROR(ReadTrunkItem(item, &vlans));
  }
  config->trunk = Merge(std::move(vlans));
  return json.Read("preserveDefaultVlan", &config->preserve_default_vlan);
}

absl::Status ReadBooleans(const JsonObject& json, BridgeConfig* config) {
  for (const auto& [key, value] :
       {std::pair("isGateway", &config->is_gateway),
        std::pair("isDefaultGateway", &config->is_default_gateway),
        std::pair("forceAddress", &config->force_address),
        std::pair("promiscMode", &config->promiscuous),
        std::pair("hairpinMode", &config->port.hairpin),
        std::pair("portIsolation", &config->port.isolated),
        std::pair("macspoofchk", &config->mac_spoof_check),
        std::pair("disableContainerInterface",
                  &config->disable_container_interface)}) {
    RETURN_IF_ERROR(json.Read(key, value));
  }
  if (config->is_default_gateway) config->is_gateway = true;
  return absl::OkStatus();
}

bool HasDefaultRoute(const CniResult& result, bool v6) {
  return std::any_of(result.routes.begin(), result.routes.end(),
                     [v6](const CniRoute& route) {
                       return route.destination.length == 0 &&
                              route.destination.address.is_v6() == v6;
                     });
}

}  // namespace

absl::StatusOr<BridgeConfig> ParseBridgeConfig(const PluginRequest& request) {
  BridgeConfig config;
  const JsonObject& json = request.config;
  RETURN_IF_ERROR(json.Read("bridge", &config.bridge));
  RETURN_IF_ERROR(CheckInterfaceName("bridge", config.bridge));
  RETURN_IF_ERROR(ReadBooleans(json, &config));
  RETURN_IF_ERROR(ReadVlans(json, &config));
  ASSIGN_OR_RETURN(config.interface, ParseInterfaceConfig(request));
  if (config.interface.has_ipam && config.disable_container_interface) {
    return absl::InvalidArgumentError(
        "cannot use IPAM when DisableContainerInterface flag is set");
  }
  if (config.port.hairpin && config.promiscuous) {
    return absl::InvalidArgumentError(
        "cannot set hairpin mode and promiscuous mode at the same time");
  }
  return config;
}

PortVlanPlan PlanPortVlans(const BridgeConfig& config, uint16_t default_pvid) {
  PortVlanPlan plan;
  if (!config.uses_vlans()) return plan;
  if (!config.preserve_default_vlan && default_pvid != 0) {
    plan.remove.push_back({.first = default_pvid, .last = default_pvid});
  }
  plan.add = config.trunk;
  // A trunk without a VLAN for untagged frames has the usual one. Last, since
  // it must win over a range of the trunk that includes it.
  const uint16_t untagged = config.vlan != 0 ? config.vlan : 1;
  plan.add.push_back(
      {.first = untagged, .last = untagged, .pvid = true, .untagged = true});
  return plan;
}

void CompleteGateways(const BridgeConfig& config, CniResult* result) {
  for (CniIp& ip : result->ips) {
    const bool v6 = ip.address.address.is_v6();
    if (!ip.gateway.has_value() && config.is_gateway) {
      ip.gateway = ip.address.Network().address.Next();
    }
    // One without a gateway goes by this one as well.
    if (config.is_default_gateway && !HasDefaultRoute(*result, v6)) {
      CniRoute route;
      route.destination = *IpPrefix::Parse(v6 ? "::/0" : "0.0.0.0/0");
      route.gateway = ip.gateway;
      result->routes.push_back(route);
    }
  }
}

}  // namespace davit
