#include "net/plugins/loopback.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/pod_netns.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr char kLoopback[] = "lo";

// The first address of each family; all must be loopback addresses.
absl::StatusOr<std::vector<CniIp>> LoopbackIps(Netlink& netlink, int index) {
  ASSIGN_OR_RETURN(std::vector<Address> addresses,
                   netlink.ListAddresses(index));
  std::vector<CniIp> ips;
  for (bool v6 : {false, true}) {
    bool first = true;
    for (const Address& address : addresses) {
      const IpAddress& ip = address.prefix.address;
      if (ip.is_v6() != v6) continue;
      if (!ip.IsLoopback()) {
        return absl::FailedPreconditionError(absl::StrFormat(
            "loopback interface found with non-loopback address \"%s\"",
            ip.ToString()));
      }
      if (first) ips.push_back({0, address.prefix, std::nullopt});
      first = false;
    }
  }
  return ips;
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> previous,
                   request.config.Object("prevResult"));
  ASSIGN_OR_RETURN(UniqueFd netns, OpenPodNetns(request.netns));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::OpenIn(netns.get()));
  ASSIGN_OR_RETURN(Link link, netlink.GetLink(kLoopback));
  RETURN_IF_ERROR(netlink.SetLinkUp(link.index, true));
  CniResult result;
  ASSIGN_OR_RETURN(result.ips, LoopbackIps(netlink, link.index));
  if (previous.has_value()) {
    return FormatPassedResult(*previous, request.cni_version);
  }
  result.interfaces.push_back(
      {kLoopback, link.mac.value_or(MacAddress()).ToString(), request.netns});
  return FormatCniResult(result, request.cni_version);
}

absl::Status Del(const PluginRequest& request) {
  absl::StatusOr<UniqueFd> netns = OpenPodNetns(request.netns);
  if (absl::IsNotFound(netns.status())) return absl::OkStatus();
  RETURN_IF_ERROR(netns.status());
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::OpenIn(netns->get()));
  ASSIGN_OR_RETURN(Link link, netlink.GetLink(kLoopback));
  return netlink.SetLinkUp(link.index, false);
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(UniqueFd netns, OpenPodNetns(request.netns));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::OpenIn(netns.get()));
  ASSIGN_OR_RETURN(Link link, netlink.GetLink(kLoopback));
  if (link.up) return absl::OkStatus();
  return absl::FailedPreconditionError("loopback interface is down");
}

}  // namespace

const Plugin kLoopbackPlugin = {
    .type = "loopback",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = nullptr,
    .gc = nullptr,
};

}  // namespace davit
