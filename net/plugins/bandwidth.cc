#include "net/plugins/bandwidth.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "net/netlink/netlink.h"
#include "net/netlink/traffic_control.h"
#include "net/plugins/bandwidth_config.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/pod_netns.h"
#include "net/plugins/pod_veth.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

struct Previous {
  JsonObject object;
  CniResult result;
};

absl::StatusOr<Previous> RequirePrevResult(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> object,
                   request.config.Object("prevResult"));
  if (!object.has_value()) {
    return absl::InvalidArgumentError("must be called as chained plugin");
  }
  ASSIGN_OR_RETURN(CniResult result,
                   ParseCniResult(*object, request.cni_version),
                   "could not parse prevResult");
  return Previous{*std::move(object), std::move(result)};
}

// The node's end of the pod's veth, which prevResult must name.
absl::StatusOr<Link> FindHostLink(Netlink& node, const PluginRequest& request,
                                  const CniResult& previous) {
  if (previous.interfaces.empty()) {
    return absl::InvalidArgumentError("no interfaces provided");
  }
  ASSIGN_OR_RETURN(UniqueFd netns, OpenPodNetns(request.netns));
  ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns.get()));
  absl::StatusOr<Link> pod_end = pod.GetLink(request.ifname);
  if (!pod_end.ok() || pod_end->kind != "veth" || pod_end->peer_index <= 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("container interface %s has no veth peer: %s",
                        request.ifname, pod_end.status().message()));
  }
  absl::StatusOr<Link> link = node.GetLink(pod_end->peer_index);
  if (!link.ok()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "veth peer with index %d is not in host ns", pod_end->peer_index));
  }
  for (const CniInterface& interface : previous.interfaces) {
    if (interface.sandbox.empty() && interface.name == link->name) return link;
  }
  return absl::FailedPreconditionError(
      "no veth peer of container interface found in host ns");
}

absl::Status RemoveIfb(Netlink& node, const std::string& name) {
  absl::StatusOr<Link> link = node.GetLink(name);
  // Whatever else has the name is not ours.
  if (absl::IsNotFound(link.status()) || (link.ok() && link->kind != "ifb")) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(link);
  absl::Status status = node.DeleteLink(name);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// A second ADD would otherwise undo the first one when it fails.
absl::Status CheckNothingIsThere(Netlink& node, TrafficControl& traffic,
                                 const Link& host,
                                 const std::string& ifb_name) {
  if (traffic.GetTokenBucket(host.index).ok()) {
    return absl::AlreadyExistsError(
        absl::StrFormat("link \"%s\" has a token bucket", host.name));
  }
  if (node.GetLink(ifb_name).ok()) {
    return absl::AlreadyExistsError(
        absl::StrFormat("link \"%s\" exists", ifb_name));
  }
  return absl::OkStatus();
}

// Returns the ifb. It bears its owner's name, by which a sweep finds it.
absl::StatusOr<Link> LimitEgress(Netlink& node, TrafficControl& traffic,
                                 const std::string& ifb_name, const Link& host,
                                 const std::string& owner,
                                 const TokenBucket& bucket) {
  RETURN_IF_ERROR(traffic.AddIfb(ifb_name, host.mtu));
  ASSIGN_OR_RETURN(Link ifb, node.GetLink(ifb_name));
  RETURN_IF_ERROR(node.SetLinkUp(ifb.index, true, owner));
  RETURN_IF_ERROR(traffic.AddTokenBucket(ifb.index, bucket));
  RETURN_IF_ERROR(traffic.RedirectIngress(host.index, ifb.index));
  return ifb;
}

std::string FormatResult(const PluginRequest& request, const Previous& previous,
                         const std::optional<Link>& ifb) {
  if (!ifb.has_value()) {
    return FormatPassedResult(previous.object, request.cni_version);
  }
  CniResult result = previous.result;
  result.interfaces.push_back(
      {ifb->name, ifb->mac.value_or(MacAddress()).ToString(), ""});
  // Never fails from 0.3.0 on.
  return FormatCniResult(result, request.cni_version).value_or("");
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(BandwidthConfig config, ParseBandwidthConfig(request));
  ASSIGN_OR_RETURN(Previous previous, RequirePrevResult(request));
  std::optional<Link> ifb;
  if (!config.ingress.has_value() && !config.egress.has_value()) {
    return FormatResult(request, previous, ifb);
  }
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  ASSIGN_OR_RETURN(TrafficControl traffic, TrafficControl::Open());
  ASSIGN_OR_RETURN(Link host, FindHostLink(node, request, previous.result));
  const std::string ifb_name = IfbName(request.network, request.container_id);
  RETURN_IF_ERROR(CheckNothingIsThere(node, traffic, host, ifb_name));
  Rollback rollback;
  if (config.ingress.has_value()) {
    rollback.Add("remove token bucket",
                 [&] { return traffic.RemoveTokenBucket(host.index); });
    RETURN_IF_ERROR(
        traffic.AddTokenBucket(host.index, MakeTokenBucket(*config.ingress)));
  }
  if (config.egress.has_value()) {
    rollback.Add("remove ifb", [&] { return RemoveIfb(node, ifb_name); });
    const PodAttachment owner = {request.container_id, request.ifname};
    ASSIGN_OR_RETURN(ifb,
                     LimitEgress(node, traffic, ifb_name, host, owner.Alias(),
                                 MakeTokenBucket(*config.egress)));
  }
  rollback.Commit();
  return FormatResult(request, previous, ifb);
}

absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  return RemoveIfb(node, IfbName(request.network, request.container_id));
}

absl::Status CheckBucket(TrafficControl& traffic, const Link& link,
                         const BandwidthLimit& limit) {
  ASSIGN_OR_RETURN(TokenBucket found, traffic.GetTokenBucket(link.index),
                   link.name);
  const TokenBucket wanted = MakeTokenBucket(limit);
  if (found == wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "the token bucket of %s is rate %d buffer %u limit %u, not rate %d "
      "buffer %u limit %u",
      link.name, found.rate, found.buffer, found.limit, wanted.rate,
      wanted.buffer, wanted.limit));
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(BandwidthConfig config, ParseBandwidthConfig(request));
  ASSIGN_OR_RETURN(Previous previous, RequirePrevResult(request));
  if (!config.ingress.has_value() && !config.egress.has_value()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  ASSIGN_OR_RETURN(TrafficControl traffic, TrafficControl::Open());
  ASSIGN_OR_RETURN(Link host, FindHostLink(node, request, previous.result));
  if (config.ingress.has_value()) {
    RETURN_IF_ERROR(CheckBucket(traffic, host, *config.ingress));
  }
  if (config.egress.has_value()) {
    ASSIGN_OR_RETURN(
        Link ifb, node.GetLink(IfbName(request.network, request.container_id)));
    RETURN_IF_ERROR(CheckBucket(traffic, ifb, *config.egress));
  }
  return absl::OkStatus();
}

}  // namespace

const Plugin kBandwidthPlugin = {
    .type = "bandwidth",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = nullptr,
    .gc = nullptr,
    .first_version = "0.3.0",
};

}  // namespace davit
