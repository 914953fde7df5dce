#include "net/plugins/firewall_plugin.h"

#include <linux/if.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/nat/davit_table.h"
#include "net/nat/firewall.h"
#include "net/plugins/chained.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/firewall_config.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// All addresses of prevResult, as Go's plugin takes them, whosesoever they are.
std::vector<IpAddress> AddressesOf(const CniResult& result) {
  std::vector<IpAddress> addresses;
  for (const CniIp& ip : result.ips) addresses.push_back(ip.address.address);
  return addresses;
}

absl::StatusOr<FirewallPod> PlanPod(const PluginRequest& request,
                                    const CniResult& previous) {
  ASSIGN_OR_RETURN(FirewallConfig config, ParseFirewallConfig(request));
  FirewallPod pod;
  pod.owner = {request.container_id, request.ifname};
  pod.addresses = AddressesOf(previous);
  pod.admin_chain = config.admin_chain;
  pod.ingress = config.ingress;
  if (pod.ingress == FirewallPod::Ingress::kOpen) return pod;
  if (previous.interfaces.empty()) {
    return absl::InvalidArgumentError(
        "interface needs to be set for an ingressPolicy, make sure to chain "
        "\"firewall\" plugin with \"bridge\"");
  }
  pod.bridge = previous.interfaces[0].name;
  if (pod.bridge.empty() || pod.bridge.size() >= IFNAMSIZ) {
    return absl::InvalidArgumentError(
        absl::StrFormat("prevResult.interfaces[0].name: \"%s\" is not the name "
                        "of a bridge, which ingressPolicy needs",
                        pod.bridge));
  }
  return pod;
}

absl::StatusOr<ChainedResult> RequirePrevious(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<ChainedResult> previous,
                   ReadChainedResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("missing prevResult from earlier plugin");
  }
  return *std::move(previous);
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(ChainedResult previous, RequirePrevious(request));
  ASSIGN_OR_RETURN(FirewallPod pod, PlanPod(request, previous.result));
  ASSIGN_OR_RETURN(Firewall firewall, Firewall::Open());
  RETURN_IF_ERROR(firewall.Add(pod));
  return FormatPassedResult(previous.object, request.cni_version);
}

absl::Status Del(const PluginRequest& request) {
  // Only a hint, for what Go's plugin has added.
  absl::StatusOr<std::optional<ChainedResult>> previous =
      ReadChainedResult(request);
  std::vector<IpAddress> addresses;
  if (previous.ok() && previous->has_value()) {
    addresses = AddressesOf((*previous)->result);
  }
  ASSIGN_OR_RETURN(Firewall firewall, Firewall::Open());
  return firewall.Remove({request.container_id, request.ifname}, addresses);
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(ChainedResult previous, RequirePrevious(request));
  ASSIGN_OR_RETURN(FirewallPod pod, PlanPod(request, previous.result));
  ASSIGN_OR_RETURN(Firewall firewall, Firewall::Open());
  return firewall.Check(pod);
}

// Ready if the kernel has nf_tables.
absl::Status Status(const PluginRequest&) {
  absl::StatusOr<DavitTable> table = DavitTable::Open();
  absl::Status status =
      table.ok() ? table->Generation().status() : table.status();
  if (status.ok()) return status;
  return CniError(CniErrorCode::kNotAvailable,
                  absl::StrCat("nf_tables: ", status.message()));
}

}  // namespace

const Plugin kFirewallPlugin = {
    .type = "firewall",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = Status,
    .gc = nullptr,
    .first_version = "0.4.0",
};

}  // namespace davit
