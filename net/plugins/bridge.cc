#include "net/plugins/bridge.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/nat/mac_spoof_check.h"
#include "net/nat/masquerade.h"
#include "net/plugins/bridge_check.h"
#include "net/plugins/bridge_config.h"
#include "net/plugins/bridge_link.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/interface_check.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/masquerade_step.h"
#include "net/plugins/optional_ipam.h"
#include "net/plugins/pod_ends.h"
#include "net/plugins/pod_interface.h"
#include "net/plugins/pod_veth.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// The links of one attachment, as they were when they were made.
struct BridgedVeth {
  Link bridge;
  PodVeth veth;
  std::optional<Link> vlan_gateway;
};

// The gateways on the node; sets `links`' vlan_gateway.
absl::Status ConfigureGateway(PodEnds& ends, const BridgeConfig& config,
                              const CniResult& result, BridgedVeth* links) {
  ASSIGN_OR_RETURN(Link gateway,
                   EnsureGatewayLink(ends.node, config, links->bridge));
  RETURN_IF_ERROR(EnsureGatewayAddresses(ends.node, config, gateway, result));
  if (config.vlan != 0) links->vlan_gateway = gateway;
  return EnableForwarding(result);
}

// Addresses and routes inside; the pod's end goes up.
absl::Status ConfigurePod(PodEnds& ends, const BridgeConfig& config,
                          const Link& link, const CniResult& result) {
  if (config.disable_container_interface) return absl::OkStatus();
  if (!config.interface.has_ipam) return ends.pod.SetLinkUp(link.index, true);
  PodInterfaceOptions options;
  options.arp_notify = true;
  options.enable_dad = config.interface.enable_dad;
  RETURN_IF_ERROR(BringUpPodInterface(ends, link, result, options));
  return AddPodRoutes(ends, link, result, /*any_gateway=*/false);
}

// IPAM's result, completed with the links. The bridge is read again, since one
// that somebody else made may have changed its MAC address.
absl::StatusOr<CniResult> MakeResult(const PluginRequest& request,
                                     const BridgeConfig& config,
                                     const BridgedVeth& links, Netlink& node,
                                     CniResult result) {
  ASSIGN_OR_RETURN(Link bridge, node.GetLink(links.bridge.index));
  result.interfaces = {ToCniInterface(bridge, ""),
                       ToCniInterface(links.veth.host, ""),
                       ToCniInterface(links.veth.pod, request.netns)};
  if (links.vlan_gateway.has_value()) {
    result.interfaces.push_back(ToCniInterface(*links.vlan_gateway, ""));
  }
  for (CniIp& ip : result.ips) ip.interface = 2;
  if (!config.interface.dns.empty()) result.dns = config.interface.dns;
  return result;
}

absl::StatusOr<BridgedVeth> CreateLinks(PodEnds& ends,
                                        const PodAttachment& attachment,
                                        const BridgeConfig& config) {
  BridgedVeth links;
  ASSIGN_OR_RETURN(links.bridge, EnsureBridge(ends.node, config),
                   "bridge \"" + config.bridge + "\"");
  ASSIGN_OR_RETURN(links.veth,
                   CreatePodVeth(ends, attachment, config.interface,
                                 {.bridge_index = links.bridge.index}));
  // The pod's end is still down, so nothing has passed by the port's defaults.
  RETURN_IF_ERROR(
      ConfigurePort(ends.node, config, links.bridge, links.veth.host));
  return links;
}

// "macspoofchk": the port passes only frames of the pod's own address.
absl::Status AddMacSpoofCheck(const PodAttachment& attachment,
                              const PodVeth& veth, Rollback* rollback) {
  ASSIGN_OR_RETURN(MacSpoofCheck opened, MacSpoofCheck::Open());
  auto check = std::make_shared<MacSpoofCheck>(std::move(opened));
  const std::string owner = attachment.Alias();
  rollback->Add("remove check of MAC addresses",
                [check, owner] { return check->Remove(owner); });
  return check->Add(veth.host.name, veth.pod.mac.value_or(MacAddress()), owner);
}

absl::Status CheckMacSpoofCheck(const PodAttachment& attachment,
                                const Link& pod, const CniResult& previous,
                                const std::string& bridge) {
  // CheckPort has found it.
  const std::string port = FindHostInterface(previous, bridge)->name;
  ASSIGN_OR_RETURN(MacSpoofCheck check, MacSpoofCheck::Open());
  ASSIGN_OR_RETURN(
      bool found,
      check.Contains(port, pod.mac.value_or(MacAddress()), attachment.Alias()));
  if (found) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "macspoofchk: nothing checks the MAC addresses of " + port);
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(BridgeConfig config, ParseBridgeConfig(request));
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  RETURN_IF_ERROR(CheckNameIsFree(ends.pod, request));

  Rollback rollback;
  // A failed IPAM ADD has undone itself; and the addresses of another
  // attachment of this name, for which it may have been refused, must stay.
  ASSIGN_OR_RETURN(CniResult result, ipam.Add());
  rollback.Add("release addresses", [&] { return ipam.Del(); });
  CompleteGateways(config, &result);

  const PodAttachment attachment{request.container_id, request.ifname};
  rollback.Add("remove link", [&ends, attachment] {
    return RemoveHostLink(ends.node, attachment, CniResult());
  });
  ASSIGN_OR_RETURN(BridgedVeth links, CreateLinks(ends, attachment, config));
  if (config.mac_spoof_check) {
    RETURN_IF_ERROR(AddMacSpoofCheck(attachment, links.veth, &rollback));
  }
  if (config.is_gateway && config.interface.has_ipam) {
    RETURN_IF_ERROR(ConfigureGateway(ends, config, result, &links));
  }
  RETURN_IF_ERROR(ConfigurePod(ends, config, links.veth.pod, result));
  if (config.interface.ip_masq) {
    RETURN_IF_ERROR(AddMasquerade(request, result, &rollback));
  }
  if (!config.disable_container_interface) {
    RETURN_IF_ERROR(WaitForPort(ends.node, links.veth.host));
  }
  ASSIGN_OR_RETURN(
      result, MakeResult(request, config, links, ends.node, std::move(result)));
  ASSIGN_OR_RETURN(std::string text,
                   FormatCniResult(result, request.cni_version));
  rollback.Commit();
  return text;
}

// Leaves the open socket in `keep`, see MacSpoofCheck::Open.
absl::Status RemoveMacSpoofCheck(const PluginRequest& request,
                                 std::optional<MacSpoofCheck>* keep) {
  bool wanted = false;
  RETURN_IF_ERROR(request.config.Read("macspoofchk", &wanted));
  if (!wanted) return absl::OkStatus();
  ASSIGN_OR_RETURN(*keep, MacSpoofCheck::Open());
  return (*keep)->Remove(
      PodAttachment{request.container_id, request.ifname}.Alias());
}

absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfigForDel(request));
  // Only a hint: everything can be found without it.
  const CniResult previous =
      ParsePrevResult(request).value_or(std::nullopt).value_or(CniResult());
  // Live to the end: the kernel's work on removed elements, for which closing
  // the sockets waits, goes on while the link is being removed.
  std::optional<Masquerade> masquerade;
  std::optional<MacSpoofCheck> spoof_check;
  absl::Status status;
  if (config.ip_masq) status = RemoveMasquerade(request, previous, &masquerade);
  status.Update(RemoveMacSpoofCheck(request, &spoof_check));
  status.Update(RemovePodVeth(request, previous));
  // Addresses to which something still refers stay reserved; DEL comes again.
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  return ipam.Del();
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(BridgeConfig config, ParseBridgeConfig(request));
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  RETURN_IF_ERROR(ipam.Check());
  ASSIGN_OR_RETURN(std::optional<CniResult> previous, ParsePrevResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("Required prevResult missing");
  }
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  RETURN_IF_ERROR(CheckBridge(ends.node, config, *previous));
  ASSIGN_OR_RETURN(Link pod,
                   CheckPodInterface(ends.pod, request, *previous, "veth",
                                     /*prefix_by_gateway=*/false));
  RETURN_IF_ERROR(CheckPort(ends.node, config, pod, *previous));
  if (config.mac_spoof_check) {
    const PodAttachment attachment{request.container_id, request.ifname};
    RETURN_IF_ERROR(
        CheckMacSpoofCheck(attachment, pod, *previous, config.bridge));
  }
  return config.interface.ip_masq ? CheckMasquerade(request, *previous)
                                  : absl::OkStatus();
}

}  // namespace

const Plugin kBridgePlugin = {
    .type = "bridge",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = OptionalIpamStatus,
    .gc = OptionalIpamGc,
};

}  // namespace davit
