#include "net/cni_garbage.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

std::string NameOf(const CniCacheKey& key) {
  return absl::StrCat(key.network, " ", key.container_id, " ", key.ifname);
}

CniCacheKey KeyOf(const CniCacheEntry& entry) {
  return {entry.network, entry.attachment.container_id,
          entry.attachment.ifname};
}

}  // namespace

std::vector<GarbageItem> CniGarbage::Collect() {
  FindDead();
  SweepAttachments();
  SweepLeases();
  SweepLinks();
  SweepElements();
  SweepPins();
  if (!dry_run_) {
    // Last, as plugins don't tell what they remove.
    RunPluginsGc();
    ForgetPods();
  }
  return std::move(items_);
}

void CniGarbage::FindDead() {
  absl::StatusOr<std::vector<CniCacheEntry>> entries =
      parts_.cache.List(&broken_);
  if (entries.ok()) {
    entries_ = *std::move(entries);
  } else {
    NoteFailure("attachment", "all", entries.status());
  }
  dead_ = parts_.ledger.List();
  for (const CniCacheEntry& entry : entries_) {
    dead_.insert(entry.attachment.container_id);
  }
  for (const CniCacheKey& key : broken_) dead_.insert(key.container_id);
  for (const std::string& pod_id :
       parts_.pins.List().value_or(std::vector<std::string>())) {
    dead_.insert(pod_id);
  }
  for (const std::string& pod_id : alive_) dead_.erase(pod_id);

  auto add_lease_dirs = [this](const CniNetworkConfig& network) {
    for (CniLeaseDir& dir : LeaseDirsOf(network)) {
      lease_dirs_.insert(std::move(dir));
    }
  };
  for (const NetworkInfo& info : parts_.configs.List()) {
    auto network = parts_.configs.Find(info.name);
    if (network.ok()) add_lease_dirs(**network);
  }
  for (const CniCacheEntry& entry : entries_) {
    auto network = ParseCniNetworkConfig(entry.config);
    if (network.ok()) add_lease_dirs(*network);
  }
}

// DEL with what is cached; of a broken entry with today's configuration.
void CniGarbage::SweepAttachments() {
  std::vector<CniCacheKey> keys = broken_;
  for (const CniCacheEntry& entry : entries_) keys.push_back(KeyOf(entry));
  std::map<std::string, std::vector<CniCacheKey>> by_pod;
  for (CniCacheKey& key : keys) {
    if (dead_.count(key.container_id) == 0) continue;
    left_to_del_.insert(key.container_id);
    by_pod[key.container_id].push_back(std::move(key));
  }
  std::vector<std::vector<CniMembership>> pods;
  std::vector<std::vector<CniCacheKey>> names;
  for (auto& [pod_id, attachments] : by_pod) {
    pods.emplace_back();
    names.emplace_back();
    for (CniCacheKey& key : attachments) {
      if (dry_run_) {
        Note("attachment", NameOf(key), pod_id, absl::OkStatus());
        continue;
      }
      PodNetworkRequest request;
      request.pod_id = pod_id;
      request.networks = {{key.network, key.ifname}};
      auto membership = parts_.memberships.Recall(request, 0);
      if (!membership.ok() || !membership->has_value()) {
        Note("attachment", NameOf(key), pod_id, membership.status());
        continue;
      }
      pods.back().push_back(**std::move(membership));
      names.back().push_back(std::move(key));
    }
  }
  if (dry_run_) return;
  left_to_del_.clear();
  std::vector<std::vector<absl::Status>> outcomes = parts_.teardown.Leave(pods);
  for (size_t pod = 0; pod < pods.size(); ++pod) {
    for (size_t i = 0; i < pods[pod].size(); ++i) {
      const CniCacheKey& key = names[pod][i];
      if (!outcomes[pod][i].ok()) left_to_del_.insert(key.container_id);
      Note("attachment", NameOf(key), key.container_id, outcomes[pod][i]);
    }
  }
}

// The plugins of 1.1.0 look for what belongs to no valid attachment; leases of
// other runtimes are none of theirs, so they are called valid.
void CniGarbage::RunPluginsGc() {
  for (const NetworkInfo& info : parts_.configs.List()) {
    auto network = parts_.configs.Find(info.name);
    if (!network.ok() || !CniChainHasGc(**network)) continue;
    auto others = [&] {
      std::vector<CniValidAttachment> valid;
      for (const CniLeaseDir& dir : LeaseDirsOf(**network)) {
        for (const Lease& lease :
             ListLeases(dir).value_or(std::vector<Lease>())) {
          if (dead_.count(lease.owner.container_id) > 0) continue;
          valid.push_back({lease.owner.container_id, lease.owner.ifname});
        }
      }
      return valid;
    };
    absl::Status status = parts_.memberships.CollectGarbage(**network, others);
    if (!status.ok()) NoteFailure("network", info.name, status);
  }
}

void CniGarbage::SweepLeases() {
  for (const CniLeaseDir& dir : lease_dirs_) {
    absl::StatusOr<std::vector<Lease>> leases = ListLeases(dir);
    std::string path = absl::StrCat(dir.data_dir, "/", dir.network);
    if (!leases.ok()) {
      NoteFailure("lease", path, leases.status());
      continue;
    }
    for (const Lease& lease : *leases) {
      const std::string& pod_id = lease.owner.container_id;
      if (!IsGarbage(pod_id)) continue;
      Note("lease", absl::StrCat(path, "/", lease.address.ToString()), pod_id,
           dry_run_ ? absl::OkStatus() : ReleaseLease(dir, lease));
    }
  }
}

void CniGarbage::SweepLinks() {
  absl::StatusOr<std::vector<CniNode::OwnedLink>> links =
      parts_.node.ListLinks();
  if (!links.ok()) return NoteFailure("link", "all", links.status());
  std::erase_if(*links, [this](const CniNode::OwnedLink& link) {
    return !IsGarbage(link.container_id);
  });
  std::vector<int> indexes;
  for (const CniNode::OwnedLink& link : *links) indexes.push_back(link.index);
  absl::Status outcome;
  if (!dry_run_ && !indexes.empty()) outcome = parts_.node.DeleteLinks(indexes);
  for (const CniNode::OwnedLink& link : *links) {
    Note("link", link.name, link.container_id, outcome);
  }
}

void CniGarbage::SweepElements() {
  absl::StatusOr<std::vector<CniNode::Owner>> owners =
      parts_.node.ListElementOwners();
  if (!owners.ok()) return NoteFailure("nft element", "all", owners.status());
  for (const CniNode::Owner& owner : *owners) {
    if (!IsGarbage(owner.container_id)) continue;
    Note("nft element", absl::StrCat(owner.container_id, " ", owner.ifname),
         owner.container_id,
         dry_run_ ? absl::OkStatus() : parts_.node.RemoveElements(owner));
  }
}

void CniGarbage::SweepPins() {
  absl::StatusOr<std::vector<std::string>> pods = parts_.pins.List();
  if (!pods.ok()) return NoteFailure("netns", "all", pods.status());
  for (const std::string& pod_id : *pods) {
    if (alive_.count(pod_id) > 0) continue;
    Note("netns", parts_.pins.PinPath(pod_id), pod_id,
         dry_run_ ? absl::OkStatus() : parts_.pins.Remove(pod_id));
  }
}

void CniGarbage::ForgetPods() {
  for (const std::string& pod_id : dead_) {
    if (unclean_.count(pod_id) > 0) continue;
    absl::Status status = parts_.ledger.Remove(pod_id);
    if (!status.ok()) NoteFailure("ledger", pod_id, status);
  }
}

bool CniGarbage::IsGarbage(const std::string& container_id) const {
  return dead_.count(container_id) > 0 && left_to_del_.count(container_id) == 0;
}

void CniGarbage::Note(std::string kind, std::string name,
                      const std::string& container_id, absl::Status outcome) {
  if (!outcome.ok()) unclean_.insert(container_id);
  items_.push_back({std::move(kind), std::move(name),
                    absl::StrCat("pod ", container_id, " does not exist"),
                    std::move(outcome)});
}

void CniGarbage::NoteFailure(std::string kind, std::string name,
                             absl::Status status) {
  unclean_.insert(dead_.begin(), dead_.end());
  items_.push_back({std::move(kind), std::move(name),
                    "could not be searched for garbage", std::move(status)});
}

}  // namespace davit
