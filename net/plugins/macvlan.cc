#include "net/plugins/macvlan.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/interface_check.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/macvlan_config.h"
#include "net/plugins/optional_ipam.h"
#include "net/plugins/pod_ends.h"
#include "net/plugins/pod_interface.h"
#include "net/plugins/pod_netns.h"
#include "net/plugins/pod_veth.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// The name under which the interface is born. The kernel refuses one that an
// interface of the node has ("eth0"), although it is for the pod's namespace.
std::string BirthName(const PluginRequest& request) {
  return PodAttachment{request.container_id, request.ifname}.HostNames()[0];
}

absl::StatusOr<Link> FindMaster(Netlink& netlink, const MacvlanConfig& config) {
  if (!config.master.empty()) {
    ASSIGN_OR_RETURN(
        Link master, netlink.GetLink(config.master),
        absl::StrFormat("failed to lookup master \"%s\"", config.master));
    return master;
  }
  ASSIGN_OR_RETURN(int index, netlink.FindDefaultRouteLink(), "master");
  return netlink.GetLink(index);
}

absl::Status CheckMtu(const MacvlanConfig& config, const Link& master) {
  if (config.interface.mtu <= master.mtu) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("invalid MTU %d, must be [0, master MTU(%d)]",
                      config.interface.mtu, master.mtu));
}

// OK if there is none. A master given to the pod is not ours to delete, nor is
// any other interface of that name.
absl::Status RemoveMacvlan(Netlink& pod, const std::string& name) {
  absl::StatusOr<Link> link = pod.GetLink(name);
  if (absl::IsNotFound(link.status())) return absl::OkStatus();
  RETURN_IF_ERROR(link);
  if (link->kind != "macvlan") return absl::OkStatus();
  absl::Status status = pod.DeleteLink(name);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status RemoveFromPod(Netlink& pod, const PluginRequest& request) {
  absl::Status status = RemoveMacvlan(pod, request.ifname);
  status.Update(RemoveMacvlan(pod, BirthName(request)));
  return status;
}

// Still down.
absl::StatusOr<Link> CreateMacvlan(PodEnds& ends, const PluginRequest& request,
                                   const MacvlanConfig& config) {
  Netlink& where = config.link_in_container ? ends.pod : ends.node;
  ASSIGN_OR_RETURN(Link master, FindMaster(where, config));
  RETURN_IF_ERROR(CheckMtu(config, master));
  MacvlanSpec spec;
  spec.name = BirthName(request);
  spec.master_index = master.index;
  spec.netns_fd = config.link_in_container ? -1 : ends.pod_netns.get();
  spec.mode = config.mode;
  spec.mtu = config.interface.mtu;
  spec.mac = config.interface.mac;
  spec.broadcast_queue = config.broadcast_queue;
  RETURN_IF_ERROR(where.AddMacvlan(spec), "failed to create macvlan");
  ASSIGN_OR_RETURN(Link link, ends.pod.GetLink(spec.name));
  LinkChange rename;
  rename.name = request.ifname;
  rename.alias = PodAttachment{request.container_id, request.ifname}.Alias();
  RETURN_IF_ERROR(ends.pod.ChangeLink(link.index, rename));
  return ends.pod.GetLink(link.index);
}

absl::Status ConfigurePod(PodEnds& ends, const MacvlanConfig& config,
                          const Link& link, const CniResult& result) {
  if (!config.interface.has_ipam) return ends.pod.SetLinkUp(link.index, true);
  PodInterfaceOptions options;
  options.arp_notify = true;
  options.ndisc_notify = true;
  options.enable_dad = config.interface.enable_dad;
  RETURN_IF_ERROR(BringUpPodInterface(ends, link, result, options));
  return AddPodRoutes(ends, link, result, /*any_gateway=*/false);
}

CniResult MakeResult(const PluginRequest& request, const MacvlanConfig& config,
                     const Link& link, CniResult result) {
  result.interfaces = {ToCniInterface(link, request.netns)};
  for (CniIp& ip : result.ips) ip.interface = 0;
  if (!config.interface.dns.empty()) result.dns = config.interface.dns;
  return result;
}

// The default route may have moved since ADD, so only a master that is named
// is looked for.
absl::Status CheckMaster(PodEnds& ends, const MacvlanConfig& config,
                         const Link& link) {
  if (config.master.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      Link master,
      FindMaster(config.link_in_container ? ends.pod : ends.node, config));
  if (link.peer_index == master.index) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "interface %s does not share %s", link.name, master.name));
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(MacvlanConfig config, ParseMacvlanConfig(request));
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  RETURN_IF_ERROR(CheckNameIsFree(ends.pod, request));

  Rollback rollback;
  // A failed IPAM ADD has undone itself; and the addresses of another
  // attachment of this name, for which it may have been refused, must stay.
  ASSIGN_OR_RETURN(CniResult result, ipam.Add());
  rollback.Add("release addresses", [&] { return ipam.Del(); });
  rollback.Add("remove link", [&] { return RemoveFromPod(ends.pod, request); });
  ASSIGN_OR_RETURN(Link link, CreateMacvlan(ends, request, config));
  RETURN_IF_ERROR(ConfigurePod(ends, config, link, result));
  ASSIGN_OR_RETURN(
      std::string text,
      FormatCniResult(MakeResult(request, config, link, std::move(result)),
                      request.cni_version));
  rollback.Commit();
  return text;
}

absl::Status Del(const PluginRequest& request) {
  absl::StatusOr<UniqueFd> netns = OpenPodNetns(request.netns);
  if (netns.ok()) {
    ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns->get()));
    RETURN_IF_ERROR(RemoveFromPod(pod, request));
  } else if (!absl::IsNotFound(netns.status())) {
    return netns.status();
  }
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  return ipam.Del();
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(MacvlanConfig config, ParseMacvlanConfig(request));
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  RETURN_IF_ERROR(ipam.Check());
  ASSIGN_OR_RETURN(std::optional<CniResult> previous, ParsePrevResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("required prevResult missing");
  }
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  ASSIGN_OR_RETURN(Link link,
                   CheckPodInterface(ends.pod, request, *previous, "macvlan",
                                     /*prefix_by_gateway=*/false));
  RETURN_IF_ERROR(CheckMaster(ends, config, link));
  if (link.macvlan != config.mode) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "container macvlan mode %s does not match expected value: %s",
        MacvlanModeName(link.macvlan.value_or(MacvlanMode::kBridge)),
        MacvlanModeName(config.mode)));
  }
  return absl::OkStatus();
}

}  // namespace

const Plugin kMacvlanPlugin = {
    .type = "macvlan",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = OptionalIpamStatus,
    .gc = OptionalIpamGc,
};

}  // namespace davit
