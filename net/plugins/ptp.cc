#include "net/plugins/ptp.h"

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/nat/masquerade.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/ipam_delegate.h"
#include "net/plugins/pod_netns.h"
#include "net/plugins/ptp_check.h"
#include "net/plugins/ptp_config.h"
#include "net/plugins/ptp_link.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// The sockets of one call, one in each namespace.
struct Ends {
  UniqueFd pod_netns;
  Netlink node;
  Netlink pod;
};

absl::StatusOr<Ends> OpenEnds(const std::string& netns_path) {
  ASSIGN_OR_RETURN(UniqueFd pod_netns, OpenPodNetns(netns_path));
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(pod_netns.get()));
  return Ends{std::move(pod_netns), std::move(node), std::move(pod)};
}

absl::Status CheckNameIsFree(Netlink& pod, const PluginRequest& request) {
  absl::Status status = pod.GetLink(request.ifname).status();
  if (absl::IsNotFound(status)) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return absl::AlreadyExistsError(
      absl::StrFormat("interface \"%s\" already exists in netns \"%s\"",
                      request.ifname, request.netns));
}

absl::Status CheckIpamResult(const CniResult& result) {
  if (result.ips.empty()) {
    return absl::InvalidArgumentError("IPAM plugin returned missing IP config");
  }
  for (const CniIp& ip : result.ips) {
    if (!ip.gateway.has_value() ||
        ip.gateway->is_v6() != ip.address.address.is_v6()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "IPAM plugin returned no gateway for %s, which ptp needs",
          ip.address.ToString()));
    }
  }
  return absl::OkStatus();
}

absl::Status AddMasquerade(const PluginRequest& request,
                           const CniResult& result, Rollback* rollback) {
  const MasqueradeOwner owner{request.container_id, request.ifname};
  ASSIGN_OR_RETURN(Masquerade opened, Masquerade::Open());
  auto masquerade = std::make_shared<Masquerade>(std::move(opened));
  rollback->Add("remove masquerade",
                [masquerade, owner] { return masquerade->Remove({}, owner); });
  for (const CniIp& ip : result.ips) {
    RETURN_IF_ERROR(masquerade->Add(ip.address.address, owner));
  }
  return absl::OkStatus();
}

// IPAM's result, completed with the link.
CniResult MakeResult(const PluginRequest& request, const PtpConfig& config,
                     const PtpLink& link, CniResult result) {
  result.interfaces = {
      {link.host.name, link.host.mac.value_or(MacAddress()).ToString(), ""},
      {link.pod.name, link.pod.mac.value_or(MacAddress()).ToString(),
       request.netns}};
  for (CniIp& ip : result.ips) ip.interface = 1;
  if (!config.dns.empty()) result.dns = config.dns;
  return result;
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PtpConfig config, ParsePtpConfig(request));
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  ASSIGN_OR_RETURN(Ends ends, OpenEnds(request.netns));
  RETURN_IF_ERROR(CheckNameIsFree(ends.pod, request));

  Rollback rollback;
  // A failed IPAM ADD has undone itself; and the addresses of another
  // attachment of this name, for which it may have been refused, must stay.
  ASSIGN_OR_RETURN(CniResult result, ipam->Add());
  rollback.Add("release addresses", [&] { return ipam->Del(); });
  RETURN_IF_ERROR(CheckIpamResult(result));
  RETURN_IF_ERROR(EnableForwarding(result));

  const PtpAttachment attachment{request.container_id, request.ifname};
  PtpLinks links(&ends.node, &ends.pod, ends.pod_netns.get());
  rollback.Add("remove link", [&ends, attachment] {
    return RemoveHostLink(&ends.node, attachment, CniResult());
  });
  ASSIGN_OR_RETURN(PtpLink link, links.Create(attachment, config));
  RETURN_IF_ERROR(links.ConfigurePod(link, result));
  RETURN_IF_ERROR(links.ConfigureNode(link, result));
  if (config.ip_masq) {
    RETURN_IF_ERROR(AddMasquerade(request, result, &rollback));
  }
  ASSIGN_OR_RETURN(
      std::string text,
      FormatCniResult(MakeResult(request, config, link, std::move(result)),
                      request.cni_version));
  rollback.Commit();
  return text;
}

// Leaves the open socket in `keep`, see Masquerade::Open.
absl::Status RemoveMasquerade(const PluginRequest& request,
                              const CniResult& previous,
                              std::optional<Masquerade>* keep) {
  ASSIGN_OR_RETURN(*keep, Masquerade::Open());
  std::vector<IpAddress> addresses;
  for (const CniIp& ip : previous.ips) addresses.push_back(ip.address.address);
  return (*keep)->Remove(addresses, {request.container_id, request.ifname});
}

// The pod's end, if its namespace is there; then the node's end, which may live
// on when the pin is gone but a process still keeps the namespace.
absl::Status RemoveLink(const PluginRequest& request,
                        const CniResult& previous) {
  absl::StatusOr<UniqueFd> netns = OpenPodNetns(request.netns);
  if (netns.ok()) {
    ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns->get()));
    absl::Status status = pod.DeleteLink(request.ifname);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  } else if (!absl::IsNotFound(netns.status())) {
    return netns.status();
  }
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  return RemoveHostLink(&node, {request.container_id, request.ifname},
                        previous);
}

absl::Status Del(const PluginRequest& request) {
  bool ip_masq = false;
  RETURN_IF_ERROR(request.config.Read("ipMasq", &ip_masq));
  // Only a hint: everything can be found without it.
  const CniResult previous =
      ParsePrevResult(request).value_or(std::nullopt).value_or(CniResult());
  // Lives to the end: the kernel's work on removed elements, for which closing
  // the socket waits, goes on while the link is being removed.
  std::optional<Masquerade> masquerade;
  absl::Status status;
  if (ip_masq) status = RemoveMasquerade(request, previous, &masquerade);
  status.Update(RemoveLink(request, previous));
  // Addresses to which something still refers stay reserved; DEL comes again.
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  return ipam->Del();
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PtpConfig config, ParsePtpConfig(request));
  ASSIGN_OR_RETURN(auto ipam, IpamDelegate::Create(request));
  RETURN_IF_ERROR(ipam->Check());
  ASSIGN_OR_RETURN(std::optional<CniResult> previous, ParsePrevResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("ptp: Required prevResult missing");
  }
  ASSIGN_OR_RETURN(Ends ends, OpenEnds(request.netns));
  RETURN_IF_ERROR(CheckPod(ends.pod, request, *previous));
  RETURN_IF_ERROR(CheckNode(ends.node, request, *previous));
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
