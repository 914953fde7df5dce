#include "net/cni_pod_network.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/cni/attachment.h"
#include "net/cni/cache.h"
#include "net/cni/chain.h"
#include "net/cni/config_dir.h"
#include "net/cni/exec.h"
#include "net/cni/network_config.h"
#include "net/cni/result.h"
#include "net/netns/netns.h"
#include "net/netns/netns_pins.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// One pod's membership of one network, and how far it has come.
struct Membership {
  std::shared_ptr<const CniNetworkConfig> network;
  CniAttachment attachment;
  CniChainProgress progress;
  bool intended = false;  // its cache entry may exist

  CniCacheEntry CacheEntry() const {
    return {network->name, attachment, network->text, progress.result};
  }
};

std::string Named(absl::string_view network) {
  return absl::StrCat("network \"", network, "\"");
}

// It becomes a value in CNI_ARGS, "K=V;K=V", which has no way to quote.
absl::Status ValidatePodName(const std::string& pod_name) {
  bool good = std::none_of(pod_name.begin(), pod_name.end(), [](char c) {
    return c == ';' || c == '=' || absl::ascii_iscntrl(c);
  });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("pod_name \"", absl::Utf8SafeCHexEscape(pod_name),
                   "\" holds ';', '=' or control characters"));
}

absl::Status ValidateRequest(const PodNetworkRequest& request) {
  RETURN_IF_ERROR(ValidateCniIdentifier("pod_id", request.pod_id));
  RETURN_IF_ERROR(ValidatePodName(request.pod_name));
  std::set<std::string> ifnames;
  for (const NetworkRequest& join : request.networks) {
    RETURN_IF_ERROR(ValidateCniIdentifier("network", join.network));
    RETURN_IF_ERROR(ValidateCniIfname(join.ifname), Named(join.network));
    if (!ifnames.insert(join.ifname).second) {
      return absl::InvalidArgumentError(absl::StrCat(Named(join.network),
                                                     ": ifname \"", join.ifname,
                                                     "\" is asked for twice"));
    }
  }
  return absl::OkStatus();
}

CniAttachment AttachmentFor(const PodNetworkRequest& request,
                            const std::string& ifname) {
  CniAttachment attachment;
  attachment.container_id = request.pod_id;
  attachment.netns = request.netns_path;
  attachment.ifname = ifname;
  // Go's plugins refuse keys that they don't know unless the first one is
  // there.
  attachment.args = {{"IgnoreUnknown", "1"},
                     {"K8S_POD_NAMESPACE", "default"},
                     {"K8S_POD_NAME", request.pod_name},
                     {"K8S_POD_INFRA_CONTAINER_ID", request.pod_id}};
  return attachment;
}

// `path` if a network namespace is there still, else empty: plugins clean up
// without one then, while Go's ptp fails on the plain file that a reboot
// leaves.
std::string LiveNetns(const std::string& path) {
  return !path.empty() && Netns::Open(path).ok() ? path : "";
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
               .observer = options.observer}) {}

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
      const PodNetworkRequest& request) override {
    ASSIGN_OR_RETURN(std::vector<Membership> memberships,
                     PlanMemberships(request));
    std::vector<InterfaceStatus> interfaces;
    Rollback rollback;
    for (Membership& membership : memberships) {
      std::string name = Named(membership.network->name);
      rollback.Add(absl::StrCat("undo ", name),
                   [this, &membership] { return Leave(membership); });
      absl::StatusOr<InterfaceStatus> status = Enter(membership);
      if (!status.ok()) {
        return JoinErrors(Annotate(status.status(), name), {rollback.Run()});
      }
      interfaces.push_back(*std::move(status));
    }
    rollback.Commit();
    return interfaces;
  }

  absl::Status Detach(const PodNetworkRequest& request) override {
    RETURN_IF_ERROR(ValidateRequest(request));
    std::vector<absl::Status> outcomes;
    for (auto it = request.networks.rbegin(); it != request.networks.rend();
         ++it) {
      outcomes.push_back(Annotate(DetachOne(request, *it), Named(it->network)));
    }
    return JoinErrors(absl::OkStatus(), outcomes);
  }

  absl::Status Check(const PodNetworkRequest& request) override {
    RETURN_IF_ERROR(ValidateRequest(request));
    std::vector<absl::Status> outcomes;
    for (const NetworkRequest& join : request.networks) {
      outcomes.push_back(
          Annotate(CheckOne(request, join), Named(join.network)));
    }
    return JoinErrors(absl::OkStatus(), outcomes);
  }

  std::vector<NetworkInfo> ListNetworks() override { return configs_.List(); }

 private:
  // Everything about an Attach that can be known to be wrong beforehand.
  absl::StatusOr<std::vector<Membership>> PlanMemberships(
      const PodNetworkRequest& request) {
    RETURN_IF_ERROR(ValidateRequest(request));
    RETURN_IF_ERROR(ExpectNetns(request.netns_path));
    std::vector<Membership> memberships;
    for (const NetworkRequest& join : request.networks) {
      Membership membership;
      ASSIGN_OR_RETURN(membership.network, configs_.Find(join.network));
      membership.attachment = AttachmentFor(request, join.ifname);
      RETURN_IF_ERROR(FindCniPlugins(exec_, *membership.network),
                      Named(join.network));
      RETURN_IF_ERROR(ExpectNoEntry(request.pod_id, join));
      memberships.push_back(std::move(membership));
    }
    return memberships;
  }

  // ADD is not repeatable, and its entry is what makes DEL possible.
  absl::Status ExpectNoEntry(const std::string& pod_id,
                             const NetworkRequest& join) const {
    absl::Status entry = cache_.Get(join.network, pod_id, join.ifname).status();
    if (absl::IsNotFound(entry)) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat(
        "pod \"", pod_id, "\" is attached to ", Named(join.network), " as \"",
        join.ifname, "\", or a failed attach awaits its detach"));
  }

  absl::StatusOr<InterfaceStatus> Enter(Membership& membership) const {
    membership.intended = true;
    RETURN_IF_ERROR(cache_.Put(membership.CacheEntry()), "write intent");
    RETURN_IF_ERROR(AddCniChain(exec_, *membership.network,
                                membership.attachment, membership.progress));
    RETURN_IF_ERROR(cache_.Put(membership.CacheEntry()), "write result");
    absl::StatusOr<InterfaceStatus> status = InterfaceStatusOfCniResult(
        *membership.progress.result, membership.network->name,
        membership.attachment.ifname);
    if (status.ok()) return status;
    return absl::InternalError(
        absl::StrCat("bad result: ", status.status().message()));
  }

  // DEL of what was begun. The entry stays unless all of it is gone.
  absl::Status Leave(const Membership& membership) const {
    if (!membership.intended) return absl::OkStatus();
    RETURN_IF_ERROR(DelCniChain(exec_, *membership.network,
                                membership.attachment, membership.progress));
    return cache_.Remove(membership.network->name,
                         membership.attachment.container_id,
                         membership.attachment.ifname);
  }

  absl::Status DetachOne(const PodNetworkRequest& request,
                         const NetworkRequest& join) {
    ASSIGN_OR_RETURN(std::optional<Membership> membership,
                     Recall(request, join));
    if (!membership.has_value()) return absl::OkStatus();
    membership->attachment.netns = LiveNetns(membership->attachment.netns);
    return Leave(*membership);
  }

  // What is known of an earlier Attach: by its entry, else by the configuration
  // of today. None if there is neither.
  absl::StatusOr<std::optional<Membership>> Recall(
      const PodNetworkRequest& request, const NetworkRequest& join) {
    absl::StatusOr<CniCacheEntry> entry =
        cache_.Get(join.network, request.pod_id, join.ifname);
    absl::StatusOr<Membership> cached = FromEntry(entry, request);
    if (cached.ok()) return std::optional(*std::move(cached));
    auto current = configs_.Find(join.network);
    // The entry is written before ADD, so without one nothing was added, unless
    // the cache was lost: then today's plugins are asked, if they are there.
    bool never_added = absl::IsNotFound(entry.status());
    if (never_added && current.ok() && !FindCniPlugins(exec_, **current).ok()) {
      return std::optional<Membership>();
    }
    if (current.ok()) {
      Membership membership;
      membership.network = *std::move(current);
      membership.attachment = AttachmentFor(request, join.ifname);
      membership.progress.begun = membership.network->plugins.size();
      membership.intended = true;
      return std::optional(std::move(membership));
    }
    if (never_added) return std::optional<Membership>();
    return absl::FailedPreconditionError(
        absl::StrCat(cached.status().message(),
                     "; without it: ", current.status().message()));
  }

  static absl::StatusOr<Membership> FromEntry(
      const absl::StatusOr<CniCacheEntry>& entry,
      const PodNetworkRequest& request) {
    RETURN_IF_ERROR(entry);
    ASSIGN_OR_RETURN(CniNetworkConfig network,
                     ParseCniNetworkConfig(entry->config), "cached config");
    if (network.name != entry->network) {
      return absl::DataLossError(
          absl::StrCat("cached config is of ", Named(network.name)));
    }
    Membership membership;
    membership.network =
        std::make_shared<const CniNetworkConfig>(std::move(network));
    membership.attachment = entry->attachment;
    if (!request.netns_path.empty()) {
      membership.attachment.netns = request.netns_path;
    }
    membership.progress = {membership.network->plugins.size(), entry->result};
    membership.intended = true;
    return membership;
  }

  absl::Status CheckOne(const PodNetworkRequest& request,
                        const NetworkRequest& join) const {
    absl::StatusOr<CniCacheEntry> entry =
        cache_.Get(join.network, request.pod_id, join.ifname);
    if (absl::IsNotFound(entry.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat("pod \"", request.pod_id, "\" is not attached as \"",
                       join.ifname, "\""));
    }
    ASSIGN_OR_RETURN(Membership membership, FromEntry(entry, request));
    if (!membership.progress.result.has_value()) {
      return absl::FailedPreconditionError("the attach did not complete");
    }
    return CheckCniChain(exec_, *membership.network, membership.attachment,
                         *membership.progress.result);
  }

  const std::optional<Netns> node_netns_;
  NetnsPins pins_;
  CniConfigDir configs_;
  const CniCache cache_;
  const CniExec exec_;
};

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
