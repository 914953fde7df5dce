#include "net/plugins/chained.h"

#include <utility>

#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<std::optional<ChainedResult>> ReadChainedResult(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> object,
                   request.config.Object("prevResult"));
  if (!object.has_value()) return std::optional<ChainedResult>();
  ASSIGN_OR_RETURN(CniResult result,
                   ParseCniResult(*object, request.cni_version),
                   "could not parse prevResult");
  return ChainedResult{*std::move(object), std::move(result)};
}

std::vector<IpAddress> PodAddresses(const PluginRequest& request,
                                    const CniResult& result) {
  std::optional<IpAddress> first[2];
  for (const CniIp& ip : result.ips) {
    const auto count = static_cast<int64_t>(result.interfaces.size());
    if (ip.interface.value_or(-1) >= 0 && *ip.interface < count) {
      const CniInterface& interface =
          result.interfaces[static_cast<size_t>(*ip.interface)];
      if (interface.name != request.ifname || interface.sandbox.empty()) {
        continue;
      }
    }
    std::optional<IpAddress>& slot = first[ip.address.address.is_v6()];
    if (!slot.has_value()) slot = ip.address.address;
  }
  std::vector<IpAddress> addresses;
  for (const std::optional<IpAddress>& address : first) {
    if (address.has_value()) addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace davit
