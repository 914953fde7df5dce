#include "net/cni_pod_network.h"

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/cni/cache.h"
#include "net/cni/config_dir.h"
#include "net/cni/exec.h"
#include "net/cni/network_config.h"
#include "net/cni/versions.h"
#include "net/cni_membership.h"
#include "net/cni_request.h"
#include "net/netns/netns.h"
#include "net/netns/netns_pins.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

std::string Named(absl::string_view network) {
  return absl::StrCat("network \"", network, "\"");
}

absl::Status JoinErrors(absl::Status first,
                        const std::vector<absl::Status>& more) {
  for (const absl::Status& status : more) {
    if (status.ok()) continue;
    first = first.ok()
                ? status
                : absl::Status(first.code(), absl::StrCat(first.message(), "; ",
                                                          status.message()));
  }
  return first;
}

absl::Status ExpectNetns(const std::string& path) {
  absl::Status status = Netns::Open(path).status();
  if (status.ok()) return status;
  return absl::FailedPreconditionError(
      absl::StrCat("netns_path: ", status.message()));
}

class CniPodNetwork : public PodNetwork {
 public:
  CniPodNetwork(const CniPodNetworkOptions& options,
                std::optional<Netns> node_netns)
      : node_netns_(std::move(node_netns)),
        pins_(options.netns_dir, options.cache_dir + "/netns"),
        configs_(options.config_dir),
        cache_(options.cache_dir),
        exec_({.plugin_dirs = options.plugin_dirs,
               .netns_fd = node_netns_.has_value() ? node_netns_->fd() : -1,
               .timeout = options.plugin_timeout,
               .observer = options.observer}),
        versions_(&exec_),
        memberships_(&configs_, &cache_, &exec_, &versions_) {}

  absl::Status Start() { return pins_.ForgetMissing(); }

  absl::StatusOr<std::string> CreateNetns(const std::string& pod_id) override {
    RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", pod_id));
    return pins_.Create(pod_id);
  }

  absl::Status RemoveNetns(const std::string& pod_id) override {
    RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", pod_id));
    return pins_.Remove(pod_id);
  }

  absl::StatusOr<std::vector<std::string>> ListNetns() override {
    return pins_.List();
  }

  absl::StatusOr<std::vector<InterfaceStatus>> Attach(
      const PodNetworkRequest& request) override;
  absl::Status Detach(const PodNetworkRequest& request) override;
  std::vector<absl::Status> DetachMany(
      const std::vector<PodNetworkRequest>& requests) override;
  absl::Status Check(const PodNetworkRequest& request) override;

  std::vector<NetworkInfo> ListNetworks() override { return configs_.List(); }
  absl::StatusOr<NetworkDetail> DescribeNetwork(
      const std::string& name) override;
  std::vector<GarbageItem> CollectGarbage(
      const std::vector<PodNetworkRequest>& alive, bool dry_run) override;

 private:
  absl::StatusOr<std::vector<CniMembership>> PlanMemberships(
      const PodNetworkRequest& request);
  absl::Status DetachOne(const PodNetworkRequest& request, size_t index);

  const std::optional<Netns> node_netns_;
  NetnsPins pins_;
  CniConfigDir configs_;
  const CniCache cache_;
  const CniExec exec_;
  CniVersions versions_;
  CniMemberships memberships_;
};

absl::StatusOr<std::vector<InterfaceStatus>> CniPodNetwork::Attach(
    const PodNetworkRequest& request) {
  ASSIGN_OR_RETURN(std::vector<CniMembership> memberships,
                   PlanMemberships(request));
  std::vector<InterfaceStatus> interfaces;
  Rollback rollback;
  for (size_t i = 0; i < memberships.size(); ++i) {
    CniMembership& membership = memberships[i];
    std::string name = Named(membership.network->name);
    rollback.Add(absl::StrCat("undo ", name), [this, &membership] {
      return memberships_.Leave(membership);
    });
    absl::StatusOr<InterfaceStatus> status =
        memberships_.Enter(request.networks[i], membership);
    if (!status.ok()) {
      return JoinErrors(Annotate(status.status(), name), {rollback.Run()});
    }
    interfaces.push_back(*std::move(status));
  }
  rollback.Commit();
  return interfaces;
}

// Everything about an Attach that can be known to be wrong beforehand.
absl::StatusOr<std::vector<CniMembership>> CniPodNetwork::PlanMemberships(
    const PodNetworkRequest& request) {
  RETURN_IF_ERROR(ValidatePodNetworkRequest(request));
  RETURN_IF_ERROR(ExpectNetns(request.netns_path));
  std::vector<CniMembership> memberships;
  for (size_t i = 0; i < request.networks.size(); ++i) {
    ASSIGN_OR_RETURN(CniMembership membership, memberships_.Plan(request, i));
    memberships.push_back(std::move(membership));
  }
  return memberships;
}

absl::Status CniPodNetwork::Detach(const PodNetworkRequest& request) {
  RETURN_IF_ERROR(ValidatePodNetworkRequest(request));
  std::vector<absl::Status> outcomes;
  for (size_t i = request.networks.size(); i-- > 0;) {
    outcomes.push_back(
        Annotate(DetachOne(request, i), Named(request.networks[i].network)));
  }
  return JoinErrors(absl::OkStatus(), outcomes);
}

absl::Status CniPodNetwork::DetachOne(const PodNetworkRequest& request,
                                      size_t index) {
  ASSIGN_OR_RETURN(std::optional<CniMembership> membership,
                   memberships_.Recall(request, index));
  if (!membership.has_value()) return absl::OkStatus();
  return memberships_.Leave(*membership);
}

std::vector<absl::Status> CniPodNetwork::DetachMany(
    const std::vector<PodNetworkRequest>& requests) {
  std::vector<absl::Status> outcomes;
  for (const PodNetworkRequest& request : requests) {
    outcomes.push_back(Detach(request));
  }
  return outcomes;
}

absl::Status CniPodNetwork::Check(const PodNetworkRequest& request) {
  RETURN_IF_ERROR(ValidatePodNetworkRequest(request));
  std::vector<absl::Status> outcomes;
  for (size_t i = 0; i < request.networks.size(); ++i) {
    outcomes.push_back(Annotate(memberships_.Check(request, i),
                                Named(request.networks[i].network)));
  }
  return JoinErrors(absl::OkStatus(), outcomes);
}

absl::StatusOr<NetworkDetail> CniPodNetwork::DescribeNetwork(
    const std::string& name) {
  ASSIGN_OR_RETURN(CniConfigDir::Network network, configs_.Get(name));
  NetworkDetail detail;
  detail.info = network.info;
  if (network.config == nullptr) return detail;
  detail.config = network.config->text;
  for (const CniPluginConfig& plugin : network.config->plugins) {
    PluginInfo info;
    info.type = plugin.type;
    absl::StatusOr<std::string> path = exec_.Find(plugin.type);
    if (path.ok()) {
      info.path = *std::move(path);
    } else {
      info.error = std::string(path.status().message());
    }
    detail.plugins.push_back(std::move(info));
  }
  ASSIGN_OR_RETURN(std::vector<CniCacheEntry> entries, cache_.List());
  std::set<std::string> pods;
  for (const CniCacheEntry& entry : entries) {
    if (entry.network == name) pods.insert(entry.attachment.container_id);
  }
  detail.attached_pod_ids.assign(pods.begin(), pods.end());
  return detail;
}

std::vector<GarbageItem> CniPodNetwork::CollectGarbage(
    const std::vector<PodNetworkRequest>& alive, bool dry_run) {
  std::set<std::string> pods;
  for (const PodNetworkRequest& request : alive) pods.insert(request.pod_id);
  std::vector<GarbageItem> items;
  std::vector<CniCacheEntry> entries =
      cache_.List().value_or(std::vector<CniCacheEntry>());
  for (const CniCacheEntry& entry : entries) {
    const CniAttachment& attachment = entry.attachment;
    if (pods.count(attachment.container_id) > 0) continue;
    PodNetworkRequest request;
    request.pod_id = attachment.container_id;
    request.networks = {{entry.network, attachment.ifname}};
    items.push_back({"attachment",
                     absl::StrCat(entry.network, " ", attachment.container_id,
                                  " ", attachment.ifname),
                     "its pod does not exist",
                     dry_run ? absl::OkStatus() : Detach(request)});
  }
  for (const std::string& pod_id :
       pins_.List().value_or(std::vector<std::string>())) {
    if (pods.count(pod_id) > 0) continue;
    items.push_back({"netns", pins_.PinPath(pod_id), "its pod does not exist",
                     dry_run ? absl::OkStatus() : pins_.Remove(pod_id)});
  }
  return items;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PodNetwork>> NewCniPodNetwork(
    const CniPodNetworkOptions& options) {
  if (options.plugin_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("plugin_timeout is not positive");
  }
  std::optional<Netns> node_netns;
  if (!options.node_netns.empty()) {
    ASSIGN_OR_RETURN(node_netns, Netns::Open(options.node_netns), "node_netns");
  }
  auto network =
      std::make_unique<CniPodNetwork>(options, std::move(node_netns));
  RETURN_IF_ERROR(network->Start());
  return network;
}

}  // namespace davit
