#include "net/nat/port_maps.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/nat/nft_messages.h"
#include "net/nat/nft_rule.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Sets of one family. Sizes: a protocol and a port fill one register (four
// bytes) each.
struct Sets {
  NftSet any;      // mappings of all node addresses
  NftSet address;  // mappings of one
  NftSet masquerade;
  NftSet hairpin;
  NftSet self;
  const char* near_chain;
};

constexpr uint32_t kProtocolPort = NftConcat(kNftProtocol, kNftPort);

constexpr Sets MakeSets(bool v6, const char* any, const char* address,
                        const char* masquerade, const char* hairpin,
                        const char* self, const char* near_chain) {
  const uint32_t ip = v6 ? kNftIpv6Address : kNftIpv4Address;
  const uint32_t size = v6 ? 16 : 4;
  const uint32_t target = NftConcat(ip, kNftPort);
  return {{any, kProtocolPort, 8, target, size + 4},
          {address, NftConcat(NftConcat(ip, kNftProtocol), kNftPort), size + 8,
           target, size + 4},
          {masquerade, ip, size, kNftVerdict, 0},
          {hairpin, NftConcat(ip, kNftInterfaceIndex), size + 4, 0, 0},
          {self, NftConcat(ip, ip), 2 * size, 0, 0},
          near_chain};
}

constexpr Sets kSets4 =
    MakeSets(false, "ports4", "address_ports4", "port_masq4", "hairpin4",
             "self4", "masq_near4");
constexpr Sets kSets6 = MakeSets(true, "ports6", "address_ports6", "port_masq6",
                                 "hairpin6", "self6", "masq_near6");
const Sets& SetsOf(bool v6) { return v6 ? kSets6 : kSets4; }

constexpr char kInChain[] = "ports_in";
constexpr char kOutChain[] = "ports_out";
constexpr char kPortsChain[] = "ports";
constexpr char kMasqueradeChain[] = "ports_masq";
constexpr char kAllChain[] = "masq_all";
constexpr char kGuardChain[] = "ports_guard";

// Priorities: NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC, NF_IP_PRI_RAW.
constexpr NftHook kInHook = {"nat", NF_INET_PRE_ROUTING, -100};
constexpr NftHook kOutHook = {"nat", NF_INET_LOCAL_OUT, -100};
constexpr NftHook kMasqueradeHook = {"nat", NF_INET_POST_ROUTING, 100};
constexpr NftHook kGuardHook = {"filter", NF_INET_PRE_ROUTING, -300};

constexpr uint32_t kLoopbackIndex = 1;   // lo's, in every network namespace
constexpr char kLoopbackNet[] = "\x7f";  // the first byte of 127.0.0.0/8

// --- Rules -------------------------------------------------------------------

NlMessage LocalDestinationRule(const char* chain) {
  NftRule rule(kDavitTable, chain);
  rule.LoadDestinationType();
  rule.Equal32(RTN_LOCAL);
  rule.Verdict(NFT_GOTO, kPortsChain);
  return rule.Build();
}

NlMessage AddressPortsRule(bool v6) {
  const int address_registers = v6 ? 4 : 1;
  NftRule rule(kDavitTable, kPortsChain);
  rule.MatchFamily(v6);
  rule.LoadDestination(v6);
  rule.LoadMeta(NFT_META_L4PROTO, address_registers);
  rule.LoadDestinationPort(address_registers + 1);
  rule.LookUpMap(SetsOf(v6).address.name);
  rule.DestinationNat(v6, address_registers);
  return rule.Build();
}

NlMessage AnyPortsRule(bool v6) {
  NftRule rule(kDavitTable, kPortsChain);
  rule.MatchFamily(v6);
  if (v6) {
    // Linux lets no IPv6 packet from ::1 leave the node, so that this would
    // swallow what it now refuses, and clients that try ::1 before 127.0.0.1
    // for "localhost" would hang.
    rule.LoadDestination(v6);
    rule.NotEqual(NftBytes(*IpAddress::Parse("::1")));
  }
  rule.LoadMeta(NFT_META_L4PROTO, 0);
  rule.LoadDestinationPort(1);
  rule.LookUpMap(SetsOf(v6).any.name);
  rule.DestinationNat(v6, v6 ? 4 : 1);
  return rule.Build();
}

NlMessage PortMasqueradeRule(bool v6) {
  const uint32_t status = IPS_DST_NAT;
  NftRule rule(kDavitTable, kMasqueradeChain);
  rule.LoadCtStatus();
  rule.Mask(absl::string_view(reinterpret_cast<const char*>(&status),
                              sizeof(status)));
  rule.NotEqual32(0);
  rule.MatchFamily(v6);
  rule.LoadDestination(v6);
  rule.LookUpVerdict(SetsOf(v6).masquerade.name);
  return rule.Build();
}

NlMessage LoopbackSourceRule() {
  NftRule rule(kDavitTable, kSets4.near_chain);
  rule.MatchFamily(/*v6=*/false);
  rule.LoadSourceFirstByte(/*v6=*/false);
  rule.Equal(kLoopbackNet);
  rule.Masquerade();
  return rule.Build();
}

NlMessage HairpinRule(bool v6) {
  NftRule rule(kDavitTable, SetsOf(v6).near_chain);
  rule.MatchFamily(v6);
  rule.LoadDestination(v6);
  rule.LoadMeta(NFT_META_IIF, v6 ? 4 : 1);
  rule.LookUp(SetsOf(v6).hairpin.name);
  rule.Masquerade();
  return rule.Build();
}

NlMessage SelfRule(bool v6) {
  NftRule rule(kDavitTable, SetsOf(v6).near_chain);
  rule.MatchFamily(v6);
  rule.LoadSource(v6);
  rule.LoadDestination(v6, v6 ? 4 : 1);
  rule.LookUp(SetsOf(v6).self.name);
  rule.Masquerade();
  return rule.Build();
}

NlMessage MasqueradeAllRule() {
  NftRule rule(kDavitTable, kAllChain);
  rule.Masquerade();
  return rule.Build();
}

NlMessage GuardRule(bool source) {
  NftRule rule(kDavitTable, kGuardChain);
  rule.LoadMeta(NFT_META_IIF);
  rule.NotEqual32(kLoopbackIndex);
  rule.MatchFamily(/*v6=*/false);
  if (source) {
    rule.LoadSourceFirstByte(/*v6=*/false);
  } else {
    rule.LoadDestinationFirstByte(/*v6=*/false);
  }
  rule.Equal(kLoopbackNet);
  rule.Verdict(NF_DROP);
  return rule.Build();
}

void AppendChains(std::vector<NlMessage>* batch) {
  for (const char* chain :
       {kPortsChain, kAllChain, kSets4.near_chain, kSets6.near_chain}) {
    batch->push_back(CreateChainMessage(kDavitTable, chain));
  }
  for (const auto& [chain, hook] :
       {std::pair(kInChain, kInHook), std::pair(kOutChain, kOutHook),
        std::pair(kMasqueradeChain, kMasqueradeHook),
        std::pair(kGuardChain, kGuardHook)}) {
    batch->push_back(CreateBaseChainMessage(kDavitTable, chain, hook));
  }
}

std::vector<NlMessage> CreatePart() {
  std::vector<NlMessage> batch;
  batch.push_back(CreateTableMessage(kDavitTable));
  uint32_t id = 0;
  for (const Sets* sets : {&kSets4, &kSets6}) {
    for (const NftSet* set : {&sets->any, &sets->address, &sets->masquerade,
                              &sets->hairpin, &sets->self}) {
      batch.push_back(CreateSetMessage(kDavitTable, *set, ++id));
    }
  }
  AppendChains(&batch);
  for (bool v6 : {false, true}) {
    // The mapping of one address goes before that of all.
    batch.push_back(AddressPortsRule(v6));
    batch.push_back(AnyPortsRule(v6));
    batch.push_back(PortMasqueradeRule(v6));
    batch.push_back(HairpinRule(v6));
    batch.push_back(SelfRule(v6));
  }
  batch.push_back(LocalDestinationRule(kInChain));
  batch.push_back(LocalDestinationRule(kOutChain));
  batch.push_back(LoopbackSourceRule());
  batch.push_back(MasqueradeAllRule());
  batch.push_back(GuardRule(/*source=*/true));
  batch.push_back(GuardRule(/*source=*/false));
  return batch;
}

// --- Elements ----------------------------------------------------------------

std::string PortBytes(uint16_t port) {
  const uint8_t bytes[4] = {static_cast<uint8_t>(port >> 8),
                            static_cast<uint8_t>(port)};
  return std::string(reinterpret_cast<const char*>(bytes), sizeof(bytes));
}

std::string ProtocolBytes(PortProtocol protocol) {
  return std::string{static_cast<char>(protocol), 0, 0, 0};
}

std::string InterfaceBytes(int index) {
  return std::string(reinterpret_cast<const char*>(&index), sizeof(index));
}

const NftSet& SetOf(const PortForward& forward) {
  const Sets& sets = SetsOf(forward.pod_address.is_v6());
  return forward.node_address.has_value() ? sets.address : sets.any;
}

std::string AnyKey(const PortForward& forward) {
  return ProtocolBytes(forward.protocol) + PortBytes(forward.node_port);
}

std::string KeyOf(const PortForward& forward) {
  return forward.node_address.has_value()
             ? NftBytes(*forward.node_address) + AnyKey(forward)
             : AnyKey(forward);
}

NftElement ElementOf(const PortForward& forward, const std::string& comment) {
  return {KeyOf(forward), comment,
          NftBytes(forward.pod_address) + PortBytes(forward.pod_port)};
}

uint16_t ParsePort(absl::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 |
                               static_cast<uint8_t>(bytes[1]));
}

// The reverse of ElementOf, for elements of the right sizes.
absl::StatusOr<PortForward> ParseForward(const NftSet& set,
                                         const NftElement& element) {
  if (element.key.size() != set.key_size ||
      element.data.size() != set.data_size) {
    return absl::InternalError(
        absl::StrCat("element of nft map ", set.name, ": malformed"));
  }
  PortForward forward;
  const size_t address_size = set.key_size - 8;
  if (address_size > 0) {
    ASSIGN_OR_RETURN(forward.node_address,
                     IpAddress::FromBytes(element.key.data(), address_size));
  }
  forward.protocol = static_cast<PortProtocol>(element.key[address_size]);
  forward.node_port =
      ParsePort(absl::string_view(element.key).substr(address_size + 4));
  ASSIGN_OR_RETURN(
      forward.pod_address,
      IpAddress::FromBytes(element.data.data(), set.data_size - 4));
  forward.pod_port =
      ParsePort(absl::string_view(element.data).substr(set.data_size - 4));
  return forward;
}

// Whether the owners are two attachments of one container. Runtimes such as
// podman give the same mappings to every network that a container joins; as
// with Go's portmap the first one has them then.
bool IsSibling(absl::string_view comment, absl::string_view other) {
  auto container = [](absl::string_view owner) {
    return owner.substr(0, owner.find(' '));
  };
  return comment != other && container(comment) == container(other);
}

absl::Status Taken(const PortForward& forward, const std::string& by,
                   const PortForward& theirs) {
  return absl::FailedPreconditionError(
      absl::StrFormat("host port %s is taken: container \"%s\" has %s",
                      forward.NodeEnd(), by, theirs.NodeEnd()));
}

}  // namespace

// Sets in the order in which they first occur.
std::vector<PortMaps::Elements> PortMaps::MakeElements(
    const std::string& comment, const std::vector<PortForward>& forwards,
    const std::vector<PortMapPod>& pods) {
  std::vector<Elements> all;
  auto add = [&all](const NftSet& set, NftElement element) {
    auto found = std::find_if(all.begin(), all.end(),
                              [&](const Elements& e) { return e.set == &set; });
    if (found == all.end()) found = all.insert(all.end(), {&set, {}});
    found->elements.push_back(std::move(element));
  };
  for (const PortForward& forward : forwards) {
    add(SetOf(forward), ElementOf(forward, comment));
  }
  for (const PortMapPod& pod : pods) {
    if (pod.masquerade == PortMapPod::Masquerade::kNobody) continue;
    const Sets& sets = SetsOf(pod.address.is_v6());
    const std::string address = NftBytes(pod.address);
    const bool near = pod.masquerade == PortMapPod::Masquerade::kNear;
    add(sets.masquerade,
        {address, comment, near ? sets.near_chain : kAllChain});
    if (!near) continue;
    add(sets.self, {address + address, comment, ""});
    if (pod.interface > 0) {
      add(sets.hairpin, {address + InterfaceBytes(pod.interface), comment, ""});
    }
  }
  return all;
}

NftChanges PortMaps::Replace(const std::vector<Elements>& removed,
                             const std::vector<Elements>& added) {
  return [&removed, &added] {
    std::vector<NlMessage> batch;
    for (const Elements& part : removed) {
      AppendDeleteElements(kDavitTable, *part.set, part.elements, &batch);
    }
    for (const Elements& part : added) {
      AppendAddElements(kDavitTable, *part.set, part.elements, &batch);
    }
    return batch;
  };
}

absl::StatusOr<PortMaps> PortMaps::Open() {
  ASSIGN_OR_RETURN(DavitTable table, DavitTable::Open());
  return PortMaps(std::move(table));
}

// The node's ends must not overlap, as with bind(2): a mapping of one address
// and one of all addresses of the same port exclude each other.
absl::Status PortMaps::CheckFree(const std::string& comment,
                                 const std::vector<PortForward>& forwards) {
  std::map<std::string, std::vector<std::pair<NftElement, PortForward>>>
      by_port[2];  // mappings of one address, by the key they would overlap
  bool listed[2] = {};
  for (const PortForward& forward : forwards) {
    const bool v6 = forward.pod_address.is_v6();
    const Sets& sets = SetsOf(v6);
    std::vector<std::pair<const NftSet*, std::string>> keys = {
        {&sets.any, AnyKey(forward)}};
    if (forward.node_address) keys.push_back({&sets.address, KeyOf(forward)});
    for (const auto& [set, key] : keys) {
      ASSIGN_OR_RETURN(std::optional<NftElement> found, table_.Get(*set, key));
      if (!found.has_value() || found->comment == comment) continue;
      if (IsSibling(found->comment, comment)) continue;
      ASSIGN_OR_RETURN(PortForward theirs, ParseForward(*set, *found));
      return Taken(forward, found->comment, theirs);
    }
    if (forward.node_address.has_value()) continue;
    if (!std::exchange(listed[v6], true)) {
      ASSIGN_OR_RETURN(std::vector<NftElement> all, table_.List(sets.address));
      for (NftElement& element : all) {
        ASSIGN_OR_RETURN(PortForward theirs,
                         ParseForward(sets.address, element));
        by_port[v6][AnyKey(theirs)].emplace_back(std::move(element), theirs);
      }
    }
    for (const auto& [element, theirs] : by_port[v6][AnyKey(forward)]) {
      if (element.comment != comment && !IsSibling(element.comment, comment)) {
        return Taken(forward, element.comment, theirs);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PortMaps::Elements>> PortMaps::FindExisting(
    const std::vector<Elements>& wanted) {
  std::vector<Elements> existing;
  for (const Elements& part : wanted) {
    std::vector<NftElement> found;
    for (const NftElement& element : part.elements) {
      ASSIGN_OR_RETURN(std::optional<NftElement> one,
                       table_.Get(*part.set, element.key));
      if (one.has_value()) found.push_back(*std::move(one));
    }
    existing.push_back({part.set, std::move(found)});
  }
  return existing;
}

// Leaves out the mappings that another attachment of the container has already.
void PortMaps::SkipSiblings(const std::string& comment,
                            std::vector<Elements>& existing,
                            std::vector<Elements>& wanted) {
  for (size_t i = 0; i < existing.size(); ++i) {
    const NftSet* set = existing[i].set;
    bool of_ports = set == &kSets4.any || set == &kSets4.address ||
                    set == &kSets6.any || set == &kSets6.address;
    if (!of_ports) continue;
    for (const NftElement& element : existing[i].elements) {
      if (!IsSibling(element.comment, comment)) continue;
      std::erase_if(wanted[i].elements, [&](const NftElement& mine) {
        return mine.key == element.key;
      });
    }
    std::erase_if(existing[i].elements, [&](const NftElement& element) {
      return IsSibling(element.comment, comment);
    });
  }
}

// The generation makes reading and writing one step: if anything changes after
// the reading, the kernel refuses the writing.
absl::Status PortMaps::TryAdd(const std::string& comment,
                              const std::vector<PortForward>& forwards,
                              std::vector<Elements> wanted) {
  ASSIGN_OR_RETURN(uint32_t generation, table_.Generation());
  RETURN_IF_ERROR(CheckFree(comment, forwards));
  ASSIGN_OR_RETURN(std::vector<Elements> existing, FindExisting(wanted));
  SkipSiblings(comment, existing, wanted);
  return table_.Commit(Replace(existing, wanted), CreatePart,
                       "add port maps to nft table davit", generation);
}

absl::Status PortMaps::Add(const ElementOwner& owner,
                           const std::vector<PortForward>& forwards,
                           const std::vector<PortMapPod>& pods) {
  if (forwards.empty()) return absl::OkStatus();
  const std::string comment = owner.Comment();
  const std::vector<Elements> wanted = MakeElements(comment, forwards, pods);
  return RetryChange("add port maps",
                     [&] { return TryAdd(comment, forwards, wanted); });
}

absl::StatusOr<std::vector<PortForward>> PortMaps::Remove(
    const ElementOwner& owner) {
  const std::string comment = owner.Comment();
  std::vector<PortForward> forwards;
  RETURN_IF_ERROR(RetryChange("remove port maps", [&]() -> absl::Status {
    forwards.clear();
    std::vector<Elements> found;
    bool any = false;
    for (const Sets* sets : {&kSets4, &kSets6}) {
      for (const NftSet* set : {&sets->any, &sets->address, &sets->masquerade,
                                &sets->hairpin, &sets->self}) {
        ASSIGN_OR_RETURN(std::vector<NftElement> elements,
                         table_.ListByComment(*set, comment));
        any |= !elements.empty();
        for (const NftElement& element : elements) {
          if (set != &sets->any && set != &sets->address) break;
          ASSIGN_OR_RETURN(PortForward forward, ParseForward(*set, element));
          forwards.push_back(forward);
        }
        found.push_back({set, std::move(elements)});
      }
    }
    if (!any) return absl::OkStatus();
    return table_.Commit(Replace(found, {}),
                         "remove port maps from nft table davit");
  }));
  RETURN_IF_ERROR(table_.RemoveIfUnused());
  return forwards;
}

absl::Status PortMaps::Check(const ElementOwner& owner,
                             const std::vector<PortForward>& forwards,
                             const std::vector<PortMapPod>& pods) {
  const std::string comment = owner.Comment();
  for (const PortForward& forward : forwards) {
    ASSIGN_OR_RETURN(std::optional<NftElement> found,
                     table_.Get(SetOf(forward), KeyOf(forward)));
    if (found.has_value() && IsSibling(found->comment, comment)) continue;
    if (found != ElementOf(forward, comment)) {
      return absl::NotFoundError(
          absl::StrFormat("port map %s to %s port %d is not in nft map %s",
                          forward.NodeEnd(), forward.pod_address.ToString(),
                          forward.pod_port, SetOf(forward).name));
    }
  }
  for (const Elements& part : MakeElements(comment, {}, pods)) {
    for (const NftElement& element : part.elements) {
      ASSIGN_OR_RETURN(std::optional<NftElement> found,
                       table_.Get(*part.set, element.key));
      if (found != element) {
        return absl::NotFoundError(absl::StrCat(
            "the pod's address is not in nft set ", part.set->name));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
