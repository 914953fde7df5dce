#include "net/plugins/host_local_config.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/ipam/disk_lease_store.h"
#include "net/plugins/cni_args.h"
#include "net/plugins/cni_version.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::StatusOr<JsonObject> IpamObject(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> ipam,
                   request.config.Object("ipam"));
  if (!ipam.has_value()) {
    return absl::InvalidArgumentError("IPAM config missing 'ipam' key");
  }
  return *std::move(ipam);
}

// "10.0.0.2" or "10.0.0.2/24".
absl::StatusOr<IpAddress> ParseRequestedIp(const std::string& text) {
  if (text.find('/') == std::string::npos) return IpAddress::Parse(text);
  ASSIGN_OR_RETURN(IpPrefix prefix, IpPrefix::Parse(text));
  return prefix.address;
}

absl::Status AddRequestedIps(const JsonObject& object,
                             std::vector<IpAddress>* ips) {
  std::vector<std::string> texts;
  RETURN_IF_ERROR(object.Read("ips", &texts));
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    ASSIGN_OR_RETURN(IpAddress ip, ParseRequestedIp(text),
                     object.PathOf("ips"));
    ips->push_back(ip);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<IpAddress>> ParseRequestedIps(
    const PluginRequest& request) {
  std::vector<IpAddress> ips;
  ASSIGN_OR_RETURN(auto args, ParseCniArgs(request.args));
  if (!args["IP"].empty()) {
    ASSIGN_OR_RETURN(IpAddress ip, ParseRequestedIp(args["IP"]), "ARGS: IP");
    ips.push_back(ip);
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> config_args,
                   request.config.Object("args"));
  if (config_args.has_value()) {
    ASSIGN_OR_RETURN(std::optional<JsonObject> cni, config_args->Object("cni"));
    if (cni.has_value()) RETURN_IF_ERROR(AddRequestedIps(*cni, &ips));
  }
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   request.config.Object("runtimeConfig"));
  if (runtime.has_value()) RETURN_IF_ERROR(AddRequestedIps(*runtime, &ips));
  return ips;
}

absl::StatusOr<Range> ParseRange(const JsonObject& object) {
  std::optional<IpPrefix> subnet;
  RETURN_IF_ERROR(object.Read("subnet", &subnet));
  if (!subnet.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(object.PathOf("subnet"), ": missing"));
  }
  RangeSpec spec;
  spec.subnet = *subnet;
  RETURN_IF_ERROR(object.Read("rangeStart", &spec.start));
  RETURN_IF_ERROR(object.Read("rangeEnd", &spec.end));
  RETURN_IF_ERROR(object.Read("gateway", &spec.gateway));
  absl::StatusOr<Range> range = Range::Create(spec);
  if (!range.ok()) return Annotate(range.status(), object.PathOf("subnet"));
  return range;
}

absl::Status AddRangeSet(const std::vector<JsonObject>& objects,
                         std::vector<RangeSet>* sets) {
  const std::string context =
      absl::StrFormat("invalid range set %d", sets->size());
  std::vector<Range> ranges;
  for (const JsonObject& object : objects) {
    ASSIGN_OR_RETURN(Range range, ParseRange(object), context);
    ranges.push_back(range);
  }
  ASSIGN_OR_RETURN(RangeSet set, RangeSet::Create(std::move(ranges)), context);
  sets->push_back(std::move(set));
  return absl::OkStatus();
}

// In Go's order: the runtime's, the single one of old style, the list.
absl::StatusOr<std::vector<RangeSet>> ParseSets(const PluginRequest& request,
                                                const JsonObject& ipam) {
  std::vector<RangeSet> sets;
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   request.config.Object("runtimeConfig"));
  if (runtime.has_value()) {
    ASSIGN_OR_RETURN(auto lists, runtime->ObjectLists("ipRanges"));
    for (const auto& list : lists) RETURN_IF_ERROR(AddRangeSet(list, &sets));
  }
  if (ipam.Has("subnet")) RETURN_IF_ERROR(AddRangeSet({ipam}, &sets));
  ASSIGN_OR_RETURN(auto lists, ipam.ObjectLists("ranges"));
  for (const auto& list : lists) RETURN_IF_ERROR(AddRangeSet(list, &sets));
  return sets;
}

absl::Status CheckSets(const std::vector<RangeSet>& sets,
                       const std::string& version) {
  if (sets.empty()) {
    return absl::InvalidArgumentError("no IP ranges specified");
  }
  auto v6 = std::count_if(sets.begin(), sets.end(),
                          [](const RangeSet& set) { return set.is_v6(); });
  auto v4 = static_cast<std::ptrdiff_t>(sets.size()) - v6;
  if ((v4 > 1 || v6 > 1) && !VersionAtLeast(version, "0.3.0").value_or(false)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "CNI version %s does not support more than 1 address per family",
        version));
  }
  for (size_t i = 0; i < sets.size(); ++i) {
    for (size_t j = i + 1; j < sets.size(); ++j) {
      if (sets[i].Overlaps(sets[j])) {
        return absl::InvalidArgumentError(
            absl::StrFormat("range set %d overlaps with %d", i, j));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ParseHostLocalDataDir(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(JsonObject ipam, IpamObject(request));
  std::string data_dir;
  RETURN_IF_ERROR(ipam.Read("dataDir", &data_dir));
  return data_dir.empty() ? DiskLeaseStore::kDefaultDataDir : data_dir;
}

absl::StatusOr<HostLocalConfig> ParseHostLocalConfig(
    const PluginRequest& request) {
  HostLocalConfig config;
  ASSIGN_OR_RETURN(config.data_dir, ParseHostLocalDataDir(request));
  ASSIGN_OR_RETURN(JsonObject ipam, IpamObject(request));
  RETURN_IF_ERROR(ipam.Read("resolvConf", &config.resolv_conf));
  ASSIGN_OR_RETURN(config.requested_ips, ParseRequestedIps(request));
  ASSIGN_OR_RETURN(config.sets, ParseSets(request, ipam));
  RETURN_IF_ERROR(CheckSets(config.sets, request.cni_version));
  ASSIGN_OR_RETURN(std::vector<JsonObject> routes, ipam.Objects("routes"));
  for (const JsonObject& object : routes) {
    ASSIGN_OR_RETURN(CniRoute route, ParseCniRoute(object));
    config.routes.push_back(route);
  }
  return config;
}

}  // namespace davit
