#include "net/plugins/ptp.h"

#include <optional>
#include <string>
#include <utility>

#include "net/nat/masquerade.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/interface_check.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/ipam_delegate.h"
#include "net/plugins/masquerade_step.h"
#include "net/plugins/pod_ends.h"
#include "net/plugins/pod_interface.h"
#include "net/plugins/pod_veth.h"
#include "net/plugins/ptp_routes.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// IPAM's result, completed with the link.
CniResult MakeResult(const PluginRequest& request,
                     const InterfaceConfig& config, const PodVeth& veth,
                     CniResult result) {
  result.interfaces = {ToCniInterface(veth.host, ""),
                       ToCniInterface(veth.pod, request.netns)};
  for (CniIp& ip : result.ips) ip.interface = 1;
  if (!config.dns.empty()) result.dns = config.dns;
  return result;
}

// The pod's addresses and routes, then the node's.
absl::Status Configure(PodEnds& ends, const InterfaceConfig& config,
                       const PodVeth& veth, const CniResult& result) {
  PodInterfaceOptions options;
  options.prefix_on_link = false;
  options.enable_dad = config.enable_dad;
  RETURN_IF_ERROR(BringUpPodInterface(ends, veth.pod, result, options));
  RETURN_IF_ERROR(AddPtpPodRoutes(ends, veth.pod, result));
  RETURN_IF_ERROR(AddPodRoutes(ends, veth.pod, result, /*any_gateway=*/true));
  return ConfigurePtpNode(ends.node, veth.host, result);
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfig(request));
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  RETURN_IF_ERROR(CheckNameIsFree(ends.pod, request));

  Rollback rollback;
  // A failed IPAM ADD has undone itself; and the addresses of another
  // attachment of this name, for which it may have been refused, must stay.
  ASSIGN_OR_RETURN(CniResult result, ipam->Add());
  rollback.Add("release addresses", [&] { return ipam->Del(); });
  RETURN_IF_ERROR(CheckPtpIpamResult(result));
  RETURN_IF_ERROR(EnableForwarding(result));

  const PodAttachment attachment{request.container_id, request.ifname};
  rollback.Add("remove link", [&ends, attachment] {
    return RemoveHostLink(ends.node, attachment, CniResult());
  });
  ASSIGN_OR_RETURN(
      PodVeth veth,
      CreatePodVeth(ends, attachment, config,
                    {.link_local = HasAddressOf(result, /*v6=*/true)}));
  RETURN_IF_ERROR(Configure(ends, config, veth, result));
  if (config.ip_masq) {
    RETURN_IF_ERROR(AddMasquerade(request, result, &rollback));
  }
  ASSIGN_OR_RETURN(
      std::string text,
      FormatCniResult(MakeResult(request, config, veth, std::move(result)),
                      request.cni_version));
  rollback.Commit();
  return text;
}

absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfigForDel(request));
  // Only a hint: everything can be found without it.
  const CniResult previous =
      ParsePrevResult(request).value_or(std::nullopt).value_or(CniResult());
  // Lives to the end: the kernel's work on removed elements, for which closing
  // the socket waits, goes on while the link is being removed.
  std::optional<Masquerade> masquerade;
  absl::Status status;
  if (config.ip_masq) status = RemoveMasquerade(request, previous, &masquerade);
  status.Update(RemovePodVeth(request, previous));
  // Addresses to which something still refers stay reserved; DEL comes again.
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  return ipam->Del();
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfig(request));
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  RETURN_IF_ERROR(ipam->Check());
  ASSIGN_OR_RETURN(std::optional<CniResult> previous, ParsePrevResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("ptp: Required prevResult missing");
  }
  ASSIGN_OR_RETURN(PodEnds ends, OpenPodEnds(request.netns));
  RETURN_IF_ERROR(CheckPodInterface(ends.pod, request, *previous, "veth",
                                    /*prefix_by_gateway=*/true));
  RETURN_IF_ERROR(CheckPtpNode(ends.node, request, *previous));
  return config.ip_masq ? CheckMasquerade(request, *previous)
                        : absl::OkStatus();
}

absl::Status Status(const PluginRequest& request) {
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  return ipam->Status();
}

absl::Status Gc(const PluginRequest& request) {
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  return ipam->Gc();
}

}  // namespace

const Plugin kPtpPlugin = {
    .type = "ptp",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = Status,
    .gc = Gc,
};

}  // namespace davit
