#include "net/cni_pod_network.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/cni/cache.h"
#include "net/cni/chain.h"
#include "net/cni/config_dir.h"
#include "net/cni/exec.h"
#include "net/cni/json.h"
#include "net/cni/ledger.h"
#include "net/cni/network_config.h"
#include "net/cni/versions.h"
#include "net/cni_garbage.h"
#include "net/cni_leases.h"
#include "net/cni_membership.h"
#include "net/cni_node.h"
#include "net/cni_request.h"
#include "net/cni_teardown.h"
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

// Of the chain's plugins, then of those that these call for addresses.
std::vector<std::string> TypesOf(const CniNetworkConfig& network) {
  std::vector<std::string> types;
  std::vector<std::string> ipam_types;
  for (const CniPluginConfig& plugin : network.plugins) {
    types.push_back(plugin.type);
    const CniJson* ipam = FindCniMember(plugin.config, "ipam");
    if (ipam == nullptr) continue;
    std::string type = CniStringMember(*ipam, "type").value_or("");
    if (!type.empty()) ipam_types.push_back(std::move(type));
  }
  types.insert(types.end(), ipam_types.begin(), ipam_types.end());
  return types;
}

class CniPodNetwork : public PodNetwork {
 public:
  CniPodNetwork(const CniPodNetworkOptions& options,
                std::optional<Netns> node_netns)
      : node_(std::move(node_netns)),
        pins_(options.netns_dir, options.cache_dir + "/netns"),
        configs_(options.config_dir),
        cache_(options.cache_dir),
        ledger_(options.cache_dir),
        exec_({.plugin_dirs = options.plugin_dirs,
               .netns_fd = node_.netns_fd(),
               .timeout = options.plugin_timeout,
               .observer = options.observer}),
        versions_(&exec_),
        memberships_(&configs_, &cache_, &exec_, &versions_),
        teardown_(&memberships_, &exec_, &node_) {}

  absl::Status Start() {
    RETURN_IF_ERROR(ledger_.Prepare());
    RETURN_IF_ERROR(cache_.RemoveTemporaries());
    return pins_.ForgetMissing();
  }

  absl::StatusOr<std::string> CreateNetns(const std::string& pod_id) override {
    RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", pod_id));
    return pins_.Create(pod_id);
  }

  absl::StatusOr<std::string> AdoptNetns(const std::string& pod_id,
                                         int netns) override {
    RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", pod_id));
    return pins_.Adopt(pod_id, netns);
  }

  absl::Status RemoveNetns(const std::string& pod_id) override {
    RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", pod_id));
    RETURN_IF_ERROR(pins_.Remove(pod_id));
    // The end of a pod: what its DEL has left, if that failed, is cached.
    return ledger_.Remove(pod_id);
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
  struct Departure {
    std::vector<CniMembership> memberships;
    std::vector<absl::Status> outcomes;
  };
  Departure PlanDeparture(const PodNetworkRequest& request);
  PluginInfo Describe(const std::string& type);

  const CniNode node_;
  NetnsPins pins_;
  CniConfigDir configs_;
  const CniCache cache_;
  const CniLedger ledger_;
  const CniExec exec_;
  CniVersions versions_;
  CniMemberships memberships_;
  CniTeardown teardown_;
};

absl::StatusOr<std::vector<InterfaceStatus>> CniPodNetwork::Attach(
    const PodNetworkRequest& request) {
  ASSIGN_OR_RETURN(std::vector<CniMembership> memberships,
                   PlanMemberships(request));
  RETURN_IF_ERROR(ledger_.Add(request.pod_id), "write ledger");
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
  return DetachMany({request}).front();
}

// A pod's memberships in the order in which they are to end, and what is known
// to fail.
CniPodNetwork::Departure CniPodNetwork::PlanDeparture(
    const PodNetworkRequest& request) {
  Departure departure;
  departure.outcomes = {ValidatePodNetworkRequest(request)};
  if (!departure.outcomes.front().ok()) return departure;
  for (size_t i = request.networks.size(); i-- > 0;) {
    absl::StatusOr<std::optional<CniMembership>> membership =
        memberships_.Recall(request, i);
    if (!membership.ok()) {
      departure.outcomes.push_back(
          Annotate(membership.status(), Named(request.networks[i].network)));
    } else if (membership->has_value()) {
      departure.memberships.push_back(**std::move(membership));
    }
  }
  return departure;
}

std::vector<absl::Status> CniPodNetwork::DetachMany(
    const std::vector<PodNetworkRequest>& requests) {
  std::vector<std::vector<CniMembership>> pods;
  std::vector<std::vector<absl::Status>> known;
  for (const PodNetworkRequest& request : requests) {
    Departure departure = PlanDeparture(request);
    pods.push_back(std::move(departure.memberships));
    known.push_back(std::move(departure.outcomes));
  }
  std::vector<std::vector<absl::Status>> left = teardown_.Leave(pods);
  std::vector<absl::Status> outcomes;
  for (size_t pod = 0; pod < pods.size(); ++pod) {
    for (size_t i = 0; i < pods[pod].size(); ++i) {
      left[pod][i] = Annotate(left[pod][i], Named(pods[pod][i].network->name));
    }
    outcomes.push_back(
        JoinErrors(JoinErrors(absl::OkStatus(), known[pod]), left[pod]));
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
  for (const std::string& type : TypesOf(*network.config)) {
    detail.plugins.push_back(Describe(type));
  }
  detail.status = StatusCniChain(exec_, *network.config);
  ASSIGN_OR_RETURN(std::vector<CniCacheEntry> entries, cache_.List());
  std::set<std::string> pods;
  for (const CniCacheEntry& entry : entries) {
    if (entry.network == name) pods.insert(entry.attachment.container_id);
  }
  detail.attached_pod_ids.assign(pods.begin(), pods.end());
  // Ranges that host-local would refuse are for its own ADD to tell.
  detail.pools =
      AddressPoolsOf(*network.config).value_or(std::vector<AddressPoolInfo>());
  return detail;
}

PluginInfo CniPodNetwork::Describe(const std::string& type) {
  PluginInfo info;
  info.type = type;
  info.path = exec_.Find(type).value_or("");
  absl::StatusOr<std::vector<std::string>> versions = versions_.Of(type);
  if (versions.ok()) {
    info.versions = *std::move(versions);
  } else {
    info.error = std::string(versions.status().message());
  }
  return info;
}

std::vector<GarbageItem> CniPodNetwork::CollectGarbage(
    const std::vector<PodNetworkRequest>& alive, bool dry_run) {
  std::set<std::string> pods;
  for (const PodNetworkRequest& request : alive) pods.insert(request.pod_id);
  CniGarbage garbage({.memberships = memberships_,
                      .teardown = teardown_,
                      .configs = configs_,
                      .cache = cache_,
                      .ledger = ledger_,
                      .pins = pins_,
                      .node = node_},
                     std::move(pods), dry_run);
  return garbage.Collect();
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
