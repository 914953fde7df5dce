#include "net/fake_pod_network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

InterfaceStatus StatusFor(const NetworkRequest& join, int host_number) {
  InterfaceStatus status;
  status.network = join.network;
  status.ifname = join.ifname;
  status.mac = absl::StrFormat("02:00:ac:10:%02x:%02x", 28 + host_number / 256,
                               host_number % 256);
  status.host_ifname = absl::StrCat("veth", host_number);
  status.addresses = {absl::StrFormat("172.16.%d.%d/24", 28 + host_number / 256,
                                      host_number % 256)};
  status.gateways = {"172.16.28.1"};
  status.routes = {{"0.0.0.0/0", "172.16.28.1"}};
  status.mtu = 1500;
  if (!join.mac.empty()) status.mac = join.mac;
  if (!join.host_ifname.empty()) status.host_ifname = join.host_ifname;
  if (!join.ips.empty()) status.addresses.clear();
  for (const std::string& ip : join.ips) {
    bool bare = ip.find('/') == std::string::npos;
    status.addresses.push_back(bare ? absl::StrCat(ip, "/24") : ip);
  }
  return status;
}

}  // namespace

FakePodNetwork::FakePodNetwork(std::vector<std::string> networks,
                               std::string netns_dir)
    : networks_(std::move(networks)), netns_dir_(std::move(netns_dir)) {}

void FakePodNetwork::FailNext(Op op, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  scripts_[op].push_back({.hang = false, .status = std::move(status)});
}

void FakePodNetwork::HangNext(Op op) {
  absl::MutexLock lock(&mutex_);
  scripts_[op].push_back({.hang = true, .status = absl::OkStatus()});
}

void FakePodNetwork::WaitUntilHanging(int count) {
  absl::MutexLock lock(&mutex_);
  auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return hanging_ >= count;
  };
  mutex_.Await(absl::Condition(&enough));
}

void FakePodNetwork::Release() {
  absl::MutexLock lock(&mutex_);
  ++released_;
}

std::vector<FakePodNetwork::Call> FakePodNetwork::calls() const {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

std::vector<InterfaceStatus> FakePodNetwork::InterfacesOf(
    const std::string& pod_id) const {
  absl::MutexLock lock(&mutex_);
  std::vector<InterfaceStatus> statuses;
  for (const Attached& attached : attached_) {
    if (attached.pod_id == pod_id) statuses.push_back(attached.status);
  }
  return statuses;
}

absl::StatusOr<std::string> FakePodNetwork::CreateNetns(
    const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kCreateNetns, pod_id));
  std::string path = absl::StrCat(netns_dir_, "/cni-", pod_id);
  if (!pins_.insert(pod_id).second) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is there already"));
  }
  return path;
}

absl::Status FakePodNetwork::RemoveNetns(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kRemoveNetns, pod_id));
  pins_.erase(pod_id);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakePodNetwork::ListNetns() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kListNetns, ""));
  return std::vector<std::string>(pins_.begin(), pins_.end());
}

absl::StatusOr<std::vector<InterfaceStatus>> FakePodNetwork::Attach(
    const PodNetworkRequest& request) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kAttach, request.pod_id));
  RETURN_IF_ERROR(ValidateAttach(request));
  std::vector<InterfaceStatus> statuses;
  for (const NetworkRequest& join : request.networks) {
    int host_number = LowestFreeHostNumber();
    statuses.push_back(StatusFor(join, host_number));
    statuses.back().sandbox = request.netns_path;
    attached_.push_back({request.pod_id, host_number, statuses.back()});
  }
  return statuses;
}

absl::Status FakePodNetwork::Detach(const PodNetworkRequest& request) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kDetach, request.pod_id));
  for (const NetworkRequest& join : request.networks) {
    std::erase_if(attached_, [&](const Attached& attached) {
      return attached.pod_id == request.pod_id &&
             attached.status.network == join.network &&
             attached.status.ifname == join.ifname;
    });
  }
  return absl::OkStatus();
}

absl::Status FakePodNetwork::Check(const PodNetworkRequest& request) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Begin(Op::kCheck, request.pod_id));
  for (const NetworkRequest& join : request.networks) {
    if (FindAttached(request.pod_id, join) != nullptr) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("network \"", join.network, "\": pod \"", request.pod_id,
                     "\" is not attached as \"", join.ifname, "\""));
  }
  return absl::OkStatus();
}

std::vector<NetworkInfo> FakePodNetwork::ListNetworks() {
  std::vector<NetworkInfo> infos;
  for (const std::string& name : networks_) {
    infos.push_back({.name = name,
                     .file = absl::StrCat("/fake/net.d/", name, ".conflist"),
                     .cni_version = "1.0.0",
                     .plugins = {"ptp"},
                     .error = ""});
  }
  return infos;
}

void FakePodNetwork::SetCapabilities(std::set<std::string> capabilities) {
  absl::MutexLock lock(&mutex_);
  capabilities_ = std::move(capabilities);
}

absl::StatusOr<NetworkDetail> FakePodNetwork::DescribeNetwork(
    const std::string& name) {
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(Begin(Op::kDescribeNetwork, ""));
  }
  for (const NetworkInfo& info : ListNetworks()) {
    if (info.name != name) continue;
    NetworkDetail detail;
    detail.info = info;
    detail.config = absl::StrCat(R"({"cniVersion":"1.0.0","name":")", name,
                                 R"(","plugins":[{"type":"ptp"}]})");
    detail.plugins = {{"ptp", "/fake/plugins/ptp", {"0.4.0", "1.0.0"}, ""}};
    absl::MutexLock lock(&mutex_);
    std::set<std::string> pods;
    for (const Attached& attached : attached_) {
      if (attached.status.network == name) pods.insert(attached.pod_id);
    }
    detail.attached_pod_ids.assign(pods.begin(), pods.end());
    detail.pools = {{"172.16.28.0/24", 253, attached_.size()}};
    return detail;
  }
  return absl::NotFoundError(absl::StrCat("network \"", name,
                                          "\" is not configured; have ",
                                          absl::StrJoin(networks_, ", ")));
}

std::vector<absl::Status> FakePodNetwork::DetachMany(
    const std::vector<PodNetworkRequest>& requests) {
  std::vector<absl::Status> outcomes;
  for (const PodNetworkRequest& request : requests) {
    outcomes.push_back(Detach(request));
  }
  return outcomes;
}

std::vector<GarbageItem> FakePodNetwork::CollectGarbage(
    const std::vector<PodNetworkRequest>& alive, bool dry_run) {
  absl::MutexLock lock(&mutex_);
  Begin(Op::kCollectGarbage, "").IgnoreError();
  std::set<std::string> pods;
  for (const PodNetworkRequest& request : alive) pods.insert(request.pod_id);
  const std::string reason = "its pod does not exist";
  std::vector<GarbageItem> items;
  for (const Attached& attached : attached_) {
    if (pods.count(attached.pod_id) > 0) continue;
    items.push_back({"attachment",
                     absl::StrCat(attached.status.network, " ", attached.pod_id,
                                  " ", attached.status.ifname),
                     reason, absl::OkStatus()});
  }
  for (const std::string& pod_id : pins_) {
    if (pods.count(pod_id) > 0) continue;
    items.push_back({"netns", absl::StrCat(netns_dir_, "/cni-", pod_id), reason,
                     absl::OkStatus()});
  }
  if (dry_run) return items;
  std::erase_if(attached_,
                [&](const Attached& a) { return pods.count(a.pod_id) == 0; });
  std::erase_if(pins_,
                [&](const std::string& id) { return pods.count(id) == 0; });
  return items;
}

// Records the call and plays its script, if it has one.
absl::Status FakePodNetwork::Begin(Op op, const std::string& pod_id) {
  calls_.push_back({op, pod_id});
  std::deque<Script>& scripts = scripts_[op];
  if (scripts.empty()) return absl::OkStatus();
  Script script = std::move(scripts.front());
  scripts.pop_front();
  if (!script.hang) return script.status;
  auto let_go = [this, before = released_]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                    mutex_) { return released_ != before; };
  ++hanging_;
  mutex_.Await(absl::Condition(&let_go));
  --hanging_;
  return absl::OkStatus();
}

absl::Status FakePodNetwork::ValidateAttach(
    const PodNetworkRequest& request) const {
  std::set<std::string> ifnames;
  for (size_t i = 0; i < request.networks.size(); ++i) {
    const NetworkRequest& join = request.networks[i];
    std::string name = absl::StrCat("network \"", join.network, "\"");
    if (!ifnames.insert(join.ifname).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": ifname \"", join.ifname, "\" is asked for twice"));
    }
    if (std::find(networks_.begin(), networks_.end(), join.network) ==
        networks_.end()) {
      return absl::NotFoundError(absl::StrCat(name, " is not configured; have ",
                                              absl::StrJoin(networks_, ", ")));
    }
    RETURN_IF_ERROR(ExpectCapabilities(request, i), name);
    if (FindAttached(request.pod_id, join) != nullptr) {
      return absl::AlreadyExistsError(
          absl::StrCat("pod \"", request.pod_id, "\" is attached to ", name,
                       " as \"", join.ifname, "\""));
    }
  }
  if (pins_.count(request.pod_id) > 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("netns_path: no netns \"", request.netns_path, "\""));
}

absl::Status FakePodNetwork::ExpectCapabilities(
    const PodNetworkRequest& request, size_t index) const {
  const NetworkRequest& join = request.networks[index];
  const std::pair<const char*, bool> asked[] = {
      {"aliases", !join.aliases.empty()},
      {"hostInterfaceName", !join.host_ifname.empty()},
      {"portMappings", index == 0 && !request.port_mappings.empty()},
      {"bandwidth", index == 0 && !(request.bandwidth == BandwidthLimits())}};
  for (const auto& [name, is_asked] : asked) {
    if (!is_asked || capabilities_.count(name) > 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("no plugin of it declares the capability \"", name,
                     "\", which the pod asks for"));
  }
  return absl::OkStatus();
}

const FakePodNetwork::Attached* FakePodNetwork::FindAttached(
    const std::string& pod_id, const NetworkRequest& join) const {
  for (const Attached& attached : attached_) {
    bool same = attached.pod_id == pod_id &&
                attached.status.network == join.network &&
                attached.status.ifname == join.ifname;
    if (same) return &attached;
  }
  return nullptr;
}

int FakePodNetwork::LowestFreeHostNumber() const {
  std::set<int> taken;
  for (const Attached& attached : attached_) taken.insert(attached.host_number);
  int number = 2;
  while (taken.count(number) > 0) ++number;
  return number;
}

}  // namespace davit
