#include "net/cni_membership.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "net/cni/result.h"
#include "net/cni_request.h"
#include "net/netns/netns.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

std::string Named(absl::string_view network) {
  return absl::StrCat("network \"", network, "\"");
}

// `path` if a network namespace is there still, else empty: plugins clean up
// without one then, while Go's ptp fails on the plain file that a reboot
// leaves.
std::string LiveNetns(const std::string& path) {
  return !path.empty() && Netns::Open(path).ok() ? path : "";
}

}  // namespace

absl::StatusOr<CniMembership> CniMemberships::Plan(
    const PodNetworkRequest& request, size_t index) {
  const NetworkRequest& join = request.networks[index];
  CniMembership membership;
  ASSIGN_OR_RETURN(membership.network, configs_.Find(join.network));
  ASSIGN_OR_RETURN(membership.attachment,
                   CniAttachmentFor(request, index, *membership.network));
  RETURN_IF_ERROR(FindCniPlugins(exec_, *membership.network),
                  Named(join.network));
  ASSIGN_OR_RETURN(membership.network, versions_.Negotiate(membership.network),
                   Named(join.network));
  RETURN_IF_ERROR(ExpectNoEntry(request.pod_id, join));
  return membership;
}

// ADD is not repeatable, and its entry is what makes DEL possible.
absl::Status CniMemberships::ExpectNoEntry(const std::string& pod_id,
                                           const NetworkRequest& join) const {
  absl::Status entry = cache_.Get(join.network, pod_id, join.ifname).status();
  if (absl::IsNotFound(entry)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      "pod \"", pod_id, "\" is attached to ", Named(join.network), " as \"",
      join.ifname, "\", or a failed attach awaits its detach"));
}

absl::StatusOr<InterfaceStatus> CniMemberships::Enter(
    const NetworkRequest& join, CniMembership& membership) {
  absl::ReaderMutexLock lock(&LockOf(membership.network->name));
  membership.intended = true;
  RETURN_IF_ERROR(cache_.Put(membership.CacheEntry()), "write intent");
  RETURN_IF_ERROR(AddCniChain(exec_, *membership.network, membership.attachment,
                              membership.progress));
  RETURN_IF_ERROR(cache_.Put(membership.CacheEntry()), "write result");
  absl::StatusOr<InterfaceStatus> status = InterfaceStatusOfCniResult(
      *membership.progress.result, membership.network->name, join.ifname);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat("bad result: ", status.status().message()));
  }
  RETURN_IF_ERROR(ExpectWhatWasAskedFor(join, *status));
  return status;
}

absl::Status CniMemberships::Leave(const CniMembership& membership) {
  if (!membership.intended) return absl::OkStatus();
  absl::ReaderMutexLock lock(&LockOf(membership.network->name));
  RETURN_IF_ERROR(DelCniChain(exec_, *membership.network, membership.attachment,
                              membership.progress));
  return cache_.Remove(membership.network->name,
                       membership.attachment.container_id,
                       membership.attachment.ifname);
}

absl::Mutex& CniMemberships::LockOf(const std::string& network) {
  absl::MutexLock lock(&mutex_);
  return locks_[network];
}

absl::Status CniMemberships::CollectGarbage(
    const CniNetworkConfig& network,
    const std::function<std::vector<CniValidAttachment>()>& others) {
  absl::WriterMutexLock lock(&LockOf(network.name));
  ASSIGN_OR_RETURN(std::vector<CniCacheEntry> entries, cache_.List());
  std::vector<CniValidAttachment> valid = others();
  for (const CniCacheEntry& entry : entries) {
    if (entry.network != network.name) continue;
    valid.push_back({entry.attachment.container_id, entry.attachment.ifname});
  }
  return GcCniChain(exec_, network, valid);
}

absl::StatusOr<std::optional<CniMembership>> CniMemberships::Recall(
    const PodNetworkRequest& request, size_t index) {
  const NetworkRequest& join = request.networks[index];
  absl::StatusOr<CniCacheEntry> entry =
      cache_.Get(join.network, request.pod_id, join.ifname);
  absl::StatusOr<CniMembership> cached =
      entry.ok() ? FromEntry(*entry, request.netns_path)
                 : absl::StatusOr<CniMembership>(entry.status());
  if (cached.ok()) {
    cached->attachment.netns = LiveNetns(cached->attachment.netns);
    return std::optional(*std::move(cached));
  }
  auto current = configs_.Find(join.network);
  // The entry is written before ADD, so without one nothing was added, unless
  // the cache was lost: then today's plugins are asked, if they are there.
  bool never_added = absl::IsNotFound(entry.status());
  if (never_added && current.ok() && !FindCniPlugins(exec_, **current).ok()) {
    return std::optional<CniMembership>();
  }
  if (current.ok()) {
    CniMembership membership;
    membership.network = *std::move(current);
    membership.attachment = BareCniAttachmentFor(request, index);
    membership.attachment.netns = LiveNetns(membership.attachment.netns);
    membership.progress.begun = membership.network->plugins.size();
    membership.intended = true;
    return std::optional(std::move(membership));
  }
  if (never_added) return std::optional<CniMembership>();
  return absl::FailedPreconditionError(absl::StrCat(
      cached.status().message(), "; without it: ", current.status().message()));
}

absl::StatusOr<CniMembership> CniMemberships::FromEntry(
    const CniCacheEntry& entry, const std::string& netns_path) {
  ASSIGN_OR_RETURN(CniNetworkConfig network,
                   ParseCniNetworkConfig(entry.config), "cached config");
  if (network.name != entry.network) {
    return absl::DataLossError(
        absl::StrCat("cached config is of ", Named(network.name)));
  }
  CniMembership membership;
  membership.network =
      std::make_shared<const CniNetworkConfig>(std::move(network));
  membership.attachment = entry.attachment;
  if (!netns_path.empty()) membership.attachment.netns = netns_path;
  membership.progress = {membership.network->plugins.size(), entry.result};
  membership.intended = true;
  return membership;
}

absl::Status CniMemberships::Check(const PodNetworkRequest& request,
                                   size_t index) const {
  const NetworkRequest& join = request.networks[index];
  absl::StatusOr<CniCacheEntry> entry =
      cache_.Get(join.network, request.pod_id, join.ifname);
  if (absl::IsNotFound(entry.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod \"", request.pod_id, "\" is not attached as \"",
                     join.ifname, "\""));
  }
  RETURN_IF_ERROR(entry);
  ASSIGN_OR_RETURN(CniMembership membership,
                   FromEntry(*entry, request.netns_path));
  if (!membership.progress.result.has_value()) {
    return absl::FailedPreconditionError("the attach did not complete");
  }
  return CheckCniChain(exec_, *membership.network, membership.attachment,
                       *membership.progress.result);
}

}  // namespace davit
