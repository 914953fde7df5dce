#include "net/nat/firewall.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "net/nat/filter_forward.h"
#include "net/nat/nft_messages.h"
#include "net/nat/nft_rule.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr NftSet kRecord4 = {"firewall4", kNftIpv4Address, 4};
constexpr NftSet kRecord6 = {"firewall6", kNftIpv6Address, 16};
constexpr NftSet kPolicyBridges = {"policy_bridges", kNftInterfaceName, 16};
constexpr NftSet kSameBridge = {
    "same_bridge", NftConcat(kNftInterfaceName, kNftInterfaceName), 32};

constexpr char kChain[] = "firewall";
constexpr NftHook kHook = {"filter", NF_INET_FORWARD, 0};

// Of elements that belong to a network, not to one pod.
constexpr char kPolicyComment[] = "ingressPolicy";

const NftSet& RecordOf(bool v6) { return v6 ? kRecord6 : kRecord4; }

NlMessage PolicyRule() {
  NftRule rule(kDavitTable, kChain);
  rule.LoadMeta(NFT_META_IIFNAME);
  rule.LookUp(kPolicyBridges.name);
  rule.LoadMeta(NFT_META_OIFNAME);
  rule.LookUp(kPolicyBridges.name);
  rule.LoadMeta(NFT_META_IIFNAME);
  rule.LoadMeta(NFT_META_OIFNAME, 4);
  rule.LookUp(kSameBridge.name, /*invert=*/true);
  rule.Verdict(NF_DROP);
  return rule.Build();
}

std::vector<NlMessage> CreatePart() {
  std::vector<NlMessage> batch;
  batch.push_back(CreateTableMessage(kDavitTable));
  uint32_t id = 0;
  for (const NftSet* set :
       {&kRecord4, &kRecord6, &kPolicyBridges, &kSameBridge}) {
    batch.push_back(CreateSetMessage(kDavitTable, *set, ++id));
  }
  batch.push_back(CreateBaseChainMessage(kDavitTable, kChain, kHook));
  batch.push_back(PolicyRule());
  return batch;
}

std::string InterfaceKey(const std::string& name) {
  std::string key = name;
  key.resize(16);
  return key;
}

absl::StatusOr<IpAddress> AddressOf(const NftElement& element) {
  return IpAddress::FromBytes(element.key.data(), element.key.size());
}

}  // namespace

// One transaction under construction.
struct Firewall::Plan {
  std::vector<std::pair<const NftSet*, NftElement>> removed, added;
  std::vector<FilterForward> forwards;

  void AppendElements(std::vector<NlMessage>* batch) const {
    for (const auto& [set, element] : removed) {
      AppendDeleteElements(kDavitTable, *set, {element}, batch);
    }
    for (const auto& [set, element] : added) {
      AppendAddElements(kDavitTable, *set, {element}, batch);
    }
  }
};

absl::StatusOr<Firewall> Firewall::Open() {
  ASSIGN_OR_RETURN(DavitTable table, DavitTable::Open());
  return Firewall(std::move(table));
}

absl::StatusOr<std::vector<IpAddress>> Firewall::RecordedAddresses() {
  std::vector<IpAddress> addresses;
  for (bool v6 : {false, true}) {
    ASSIGN_OR_RETURN(std::vector<NftElement> elements,
                     table_.List(RecordOf(v6)));
    for (const NftElement& element : elements) {
      ASSIGN_OR_RETURN(IpAddress address, AddressOf(element));
      addresses.push_back(address);
    }
  }
  return addresses;
}

absl::Status Firewall::PlanRecord(const FirewallPod& pod, Plan* plan) {
  for (const IpAddress& address : pod.addresses) {
    const NftSet& set = RecordOf(address.is_v6());
    NftElement element{NftBytes(address), pod.owner.Comment(), ""};
    ASSIGN_OR_RETURN(std::optional<NftElement> found,
                     table_.Get(set, element.key));
    if (found == element) continue;
    if (found.has_value()) plan->removed.emplace_back(&set, *found);
    plan->added.emplace_back(&set, std::move(element));
  }
  return absl::OkStatus();
}

absl::Status Firewall::PlanIngress(const FirewallPod& pod, Plan* plan) {
  if (pod.ingress == FirewallPod::Ingress::kOpen) return absl::OkStatus();
  const std::string bridge = InterfaceKey(pod.bridge);
  const bool same = pod.ingress == FirewallPod::Ingress::kSameBridge;
  for (const auto& [set, key, wanted] :
       {std::tuple(&kPolicyBridges, bridge, true),
        std::tuple(&kSameBridge, bridge + bridge, same)}) {
    ASSIGN_OR_RETURN(std::optional<NftElement> found, table_.Get(*set, key));
    if (found.has_value() == wanted) continue;
    auto& list = wanted ? plan->added : plan->removed;
    list.emplace_back(set, NftElement{key, kPolicyComment, ""});
  }
  return absl::OkStatus();
}

absl::Status Firewall::TryAdd(const FirewallPod& pod) {
  ASSIGN_OR_RETURN(uint32_t generation, table_.Generation());
  Plan plan;
  RETURN_IF_ERROR(PlanRecord(pod, &plan));
  RETURN_IF_ERROR(PlanIngress(pod, &plan));
  std::vector<IpAddress> addresses = pod.addresses;
  for (bool v6 : {false, true}) {
    ASSIGN_OR_RETURN(FilterForward forward,
                     FilterForward::Read(table_.socket(), v6, pod.admin_chain));
    plan.forwards.push_back(std::move(forward));
    const FilterForward& last = plan.forwards.back();
    if (!last.present || last.has_private_chain) continue;
    ASSIGN_OR_RETURN(std::vector<IpAddress> all, RecordedAddresses());
    for (const IpAddress& other : all) {
      if (std::find(addresses.begin(), addresses.end(), other) ==
          addresses.end()) {
        addresses.push_back(other);
      }
    }
  }
  auto changes = [&] {
    std::vector<NlMessage> batch;
    plan.AppendElements(&batch);
    for (const FilterForward& forward : plan.forwards) {
      const bool concerned = std::any_of(
          addresses.begin(), addresses.end(),
          [&](const IpAddress& a) { return a.is_v6() == forward.v6; });
      if (concerned) {
        forward.AppendAdditions(pod.admin_chain, addresses, &batch);
      }
    }
    return batch;
  };
  if (changes().empty()) return absl::OkStatus();
  return table_.Commit(changes, CreatePart, "add pod to nft firewall",
                       generation);
}

absl::Status Firewall::Add(const FirewallPod& pod) {
  return RetryChange("add pod to nft firewall", [&] { return TryAdd(pod); });
}

// If no pod is left after the plan.
absl::Status Firewall::PlanPolicyRemoval(Plan* plan) {
  ASSIGN_OR_RETURN(std::vector<IpAddress> recorded, RecordedAddresses());
  if (recorded.size() > plan->removed.size()) return absl::OkStatus();
  for (const NftSet* set : {&kPolicyBridges, &kSameBridge}) {
    ASSIGN_OR_RETURN(std::vector<NftElement> elements, table_.List(*set));
    for (NftElement& element : elements) {
      plan->removed.emplace_back(set, std::move(element));
    }
  }
  return absl::OkStatus();
}

absl::Status Firewall::TryRemove(const ElementOwner& owner,
                                 const std::vector<IpAddress>& addresses) {
  ASSIGN_OR_RETURN(uint32_t generation, table_.Generation());
  Plan plan;
  std::vector<IpAddress> gone;
  for (bool v6 : {false, true}) {
    ASSIGN_OR_RETURN(std::vector<NftElement> elements,
                     table_.ListByComment(RecordOf(v6), owner.Comment()));
    for (NftElement& element : elements) {
      ASSIGN_OR_RETURN(IpAddress address, AddressOf(element));
      gone.push_back(address);
      plan.removed.emplace_back(&RecordOf(v6), std::move(element));
    }
    ASSIGN_OR_RETURN(FilterForward forward,
                     FilterForward::Read(table_.socket(), v6, ""));
    plan.forwards.push_back(std::move(forward));
  }
  for (const IpAddress& address : addresses) {
    ASSIGN_OR_RETURN(std::optional<NftElement> others,
                     table_.Get(RecordOf(address.is_v6()), NftBytes(address)));
    if (!others.has_value()) gone.push_back(address);
  }
  RETURN_IF_ERROR(PlanPolicyRemoval(&plan));
  auto changes = [&] {
    std::vector<NlMessage> batch;
    plan.AppendElements(&batch);
    for (const FilterForward& forward : plan.forwards) {
      forward.AppendDeletions(gone, &batch);
    }
    return batch;
  };
  if (changes().empty()) return absl::OkStatus();
  return table_.Commit(changes, "remove pod from nft firewall", generation);
}

absl::Status Firewall::Remove(const ElementOwner& owner,
                              const std::vector<IpAddress>& addresses) {
  RETURN_IF_ERROR(RetryChange("remove pod from nft firewall",
                              [&] { return TryRemove(owner, addresses); }));
  return table_.RemoveIfUnused();
}

absl::Status Firewall::Check(const FirewallPod& pod) {
  Plan missing;
  RETURN_IF_ERROR(PlanRecord(pod, &missing));
  RETURN_IF_ERROR(PlanIngress(pod, &missing));
  if (!missing.added.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "an element of nft set ", missing.added[0].first->name, " is missing"));
  }
  for (const IpAddress& address : pod.addresses) {
    ASSIGN_OR_RETURN(
        FilterForward forward,
        FilterForward::Read(table_.socket(), address.is_v6(), pod.admin_chain));
    if (!forward.present) continue;
    if (!forward.jumps_to_private || !forward.jumps_to_admin) {
      return absl::NotFoundError(absl::StrCat(
          "expected rule not found: jump from ",
          forward.jumps_to_private ? "CNI-FORWARD to " : "FORWARD to ",
          forward.jumps_to_private ? pod.admin_chain : "CNI-FORWARD"));
    }
    if (!forward.HasRules(address)) {
      return absl::NotFoundError(
          absl::StrCat("expected rules for ", address.ToString(),
                       " not found in chain CNI-FORWARD"));
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
