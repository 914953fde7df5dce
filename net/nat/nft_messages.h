#ifndef DAVIT_NET_NAT_NFT_MESSAGES_H_
#define DAVIT_NET_NAT_NFT_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/nl_message.h"

namespace davit {

// The nf_tables messages (linux/netfilter/nf_tables.h, nfnetlink.h) but for
// rules, see NftRule. Pure. Written by hand over libnl, because Debian has no
// static libmnl, without which libnftnl.a does not link.

struct NftTable {
  int family = 0;  // NFPROTO_INET, NFPROTO_IPV4, …
  const char* name = "";
};

// The one table that is ours.
extern const NftTable kDavitTable;

// nft(8)'s numbers of the types of keys and data, which it needs to print and
// the kernel keeps for it. Concatenated ones are NftConcat of these.
enum NftType : uint32_t {
  kNftIpv4Address = 7,
  kNftIpv6Address = 8,
  kNftProtocol = 12,
  kNftPort = 13,
  kNftInterfaceIndex = 20,
  kNftInterfaceName = 41,
  kNftVerdict = 0xffffff00,  // the kernel's NFT_DATA_VERDICT
};
constexpr uint32_t NftConcat(uint32_t a, uint32_t b) { return a << 6 | b; }

// A set, or a map if it has a data type. Sizes are in bytes; every part of a
// concatenation takes a multiple of four.
struct NftSet {
  const char* name = "";
  uint32_t key_type = 0;
  uint32_t key_size = 0;
  uint32_t data_type = 0;
  uint32_t data_size = 0;
};

// One element, as the kernel has it.
struct NftElement {
  std::string key;
  std::string comment;  // up to 127 bytes, nft(8)'s limit; empty for none
  std::string data;     // of maps; of verdict maps the chain to go to
  bool operator==(const NftElement&) const = default;
};

// Where a base chain is hooked in.
struct NftHook {
  const char* type = "";  // "nat", "filter"
  uint32_t number = 0;    // NF_INET_POST_ROUTING, …
  int32_t priority = 0;
};

// `messages` between NFNL_MSG_BATCH_BEGIN and _END: one transaction. A non-zero
// `generation` lets the kernel refuse it unless the ruleset is still of it.
std::vector<NlMessage> NftBatch(std::vector<NlMessage> messages,
                                uint32_t generation = 0);

// Creates the table unless it is there.
NlMessage CreateTableMessage(const NftTable& table);
NlMessage DeleteTableMessage(const NftTable& table);
// EEXIST if there is one. `id` is unique in the batch and not 0.
NlMessage CreateSetMessage(const NftTable& table, const NftSet& set,
                           uint32_t id);
// EEXIST if there is one.
NlMessage CreateChainMessage(const NftTable& table, absl::string_view chain);
NlMessage CreateBaseChainMessage(const NftTable& table, absl::string_view chain,
                                 const NftHook& hook);

// Any number of elements of one set, in as few messages as they fit in. Adding
// fails with EEXIST if the set has one of the keys, deleting with ENOENT if it
// lacks one.
void AppendAddElements(const NftTable& table, const NftSet& set,
                       const std::vector<NftElement>& elements,
                       std::vector<NlMessage>* batch);
void AppendDeleteElements(const NftTable& table, const NftSet& set,
                          const std::vector<NftElement>& elements,
                          std::vector<NlMessage>* batch);

// Asks for one element; the reply is read by ParseElements.
NlMessage GetElementMessage(const NftTable& table, const NftSet& set,
                            absl::string_view key);
// Asks for all (as a dump).
NlMessage ListElementsMessage(const NftTable& table,
                              absl::string_view set_name);
// The elements of one NFT_MSG_NEWSETELEM; comments of foreign form are empty.
std::vector<NftElement> ParseElements(const NlReply& reply);

// Asks for the table's sets (as a dump).
NlMessage ListSetsMessage(const NftTable& table);
// The name of one NFT_MSG_NEWSET; empty for an anonymous or constant one, which
// belongs to a rule, and for other messages.
std::string ParseSetName(const NlReply& reply);

// Asks for the ruleset's generation; the reply is read by ParseGeneration,
// which gives 0 for a malformed one.
NlMessage GetGenerationMessage();
uint32_t ParseGeneration(const NlReply& reply);

// nft(8)'s form of a comment in user data, and back ("" for other forms).
std::string FormatNftComment(absl::string_view comment);
std::string ParseNftComment(absl::string_view user_data);

// The bytes of an address, as keys have them.
std::string NftBytes(const IpAddress& address);

}  // namespace davit

#endif  // DAVIT_NET_NAT_NFT_MESSAGES_H_
