#include "net/nat/masquerade.h"

#include <linux/netfilter.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "net/nat/nft_rule.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kChain[] = "postrouting";
// The priority that nft calls "srcnat" (NF_IP_PRI_NAT_SRC).
constexpr NftHook kHook = {"nat", NF_INET_POST_ROUTING, 100};

constexpr NftSet kMasquerade4 = {"masq4", kNftIpv4Address, 4};
constexpr NftSet kMasquerade6 = {"masq6", kNftIpv6Address, 16};

const NftSet& SetOf(bool v6) { return v6 ? kMasquerade6 : kMasquerade4; }

// "not multicast": ip daddr != 224.0.0.0/4, ip6 daddr != ff00::/8.
void MatchUnicastDestination(bool v6, NftRule* rule) {
  using namespace std::string_literals;
  if (v6) {
    rule->LoadDestinationFirstByte(v6);
    rule->NotEqual("\xff");
    return;
  }
  rule->LoadDestination(v6);
  rule->Mask("\xf0\0\0\0"s);
  rule->NotEqual("\xe0\0\0\0"s);
}

NlMessage CreateRule(bool v6) {
  NftRule rule(kDavitTable, kChain);
  rule.MatchFamily(v6);
  rule.LoadSource(v6);
  rule.LookUp(SetOf(v6).name);
  rule.LoadDestination(v6);
  rule.LookUp(SetOf(v6).name, /*invert=*/true);
  MatchUnicastDestination(v6, &rule);
  rule.Masquerade();
  return rule.Build();
}

std::vector<NlMessage> CreatePart() {
  std::vector<NlMessage> batch;
  batch.push_back(CreateTableMessage(kDavitTable));
  batch.push_back(CreateSetMessage(kDavitTable, kMasquerade4, 1));
  batch.push_back(CreateSetMessage(kDavitTable, kMasquerade6, 2));
  batch.push_back(CreateBaseChainMessage(kDavitTable, kChain, kHook));
  batch.push_back(CreateRule(/*v6=*/false));
  batch.push_back(CreateRule(/*v6=*/true));
  return batch;
}

}  // namespace

absl::StatusOr<Masquerade> Masquerade::Open() {
  ASSIGN_OR_RETURN(DavitTable table, DavitTable::Open());
  return Masquerade(std::move(table));
}

absl::Status Masquerade::TryAdd(const IpAddress& address,
                                const std::string& comment) {
  const std::string what =
      absl::StrCat("masquerade ", address.ToString(), " in nft table davit");
  const NftSet& set = SetOf(address.is_v6());
  const NftElement element{NftBytes(address), comment, ""};
  auto add = [&](bool replace) {
    std::vector<NlMessage> batch;
    if (replace) AppendDeleteElements(kDavitTable, set, {element}, &batch);
    AppendAddElements(kDavitTable, set, {element}, &batch);
    return batch;
  };
  absl::Status status =
      table_.Commit([&] { return add(false); }, CreatePart, what);
  if (!absl::IsAlreadyExists(status)) return status;
  ASSIGN_OR_RETURN(std::optional<NftElement> found,
                   table_.Get(set, element.key));
  if (!found.has_value()) return status;  // gone again
  if (found->comment == comment) return absl::OkStatus();
  return table_.Commit([&] { return add(true); }, what);
}

absl::Status Masquerade::Add(const IpAddress& address,
                             const MasqueradeOwner& owner) {
  return RetryChange(absl::StrCat("masquerade ", address.ToString()),
                     [&] { return TryAdd(address, owner.Comment()); });
}

absl::StatusOr<bool> Masquerade::Contains(const IpAddress& address,
                                          const MasqueradeOwner& owner) {
  ASSIGN_OR_RETURN(std::optional<NftElement> found,
                   table_.Get(SetOf(address.is_v6()), NftBytes(address)));
  return found.has_value() && found->comment == owner.Comment();
}

absl::Status Masquerade::RemoveElement(const IpAddress& address) {
  absl::Status status = table_.Commit(
      [&] {
        std::vector<NlMessage> batch;
        AppendDeleteElements(kDavitTable, SetOf(address.is_v6()),
                             {{NftBytes(address), "", ""}}, &batch);
        return batch;
      },
      absl::StrCat("remove nft element ", address.ToString()));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<IpAddress>> Masquerade::FindByComment(
    const std::string& comment) {
  std::vector<IpAddress> found;
  for (bool v6 : {false, true}) {
    ASSIGN_OR_RETURN(std::vector<NftElement> elements,
                     table_.ListByComment(SetOf(v6), comment));
    for (const NftElement& element : elements) {
      ASSIGN_OR_RETURN(
          IpAddress address,
          IpAddress::FromBytes(element.key.data(), element.key.size()));
      found.push_back(address);
    }
  }
  return found;
}

absl::Status Masquerade::Remove(const std::vector<IpAddress>& hints,
                                const MasqueradeOwner& owner) {
  std::vector<IpAddress> addresses;
  for (const IpAddress& hint : hints) {
    ASSIGN_OR_RETURN(bool ours, Contains(hint, owner));
    if (ours) addresses.push_back(hint);
  }
  if (addresses.empty()) {
    ASSIGN_OR_RETURN(addresses, FindByComment(owner.Comment()));
  }
  for (const IpAddress& address : addresses) {
    RETURN_IF_ERROR(RemoveElement(address));
  }
  return table_.RemoveIfUnused();
}

}  // namespace davit
