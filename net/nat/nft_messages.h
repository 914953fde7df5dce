#ifndef DAVIT_NET_NAT_NFT_MESSAGES_H_
#define DAVIT_NET_NAT_NFT_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "net/netlink/ip_address.h"
#include "net/netlink/nl_message.h"

namespace davit {

// The nf_tables messages (linux/netfilter/nf_tables.h, nfnetlink.h) of which
// the masquerade table is made; see Masquerade for the ruleset. Pure. Written
// by hand over libnl, because Debian has no static libmnl, without which
// libnftnl.a does not link.

// The name of the set for a family, "masq4" or "masq6".
std::string MasqueradeSetName(bool v6);

// One set element.
struct MasqueradeElement {
  IpAddress address;
  std::string comment;
  bool operator==(const MasqueradeElement&) const = default;
};

// `messages` between NFNL_MSG_BATCH_BEGIN and _END: one transaction. A non-zero
// `generation` lets the kernel refuse it unless the ruleset is still of it.
std::vector<NlMessage> NftBatch(std::vector<NlMessage> messages,
                                uint32_t generation = 0);

// Creates the table with its sets, chain and rules; EEXIST if there is one.
std::vector<NlMessage> CreateTableMessages();
NlMessage DeleteTableMessage();

// EEXIST if the set has the address.
NlMessage AddElementMessage(const MasqueradeElement& element);
NlMessage DeleteElementMessage(const IpAddress& address);
// Asks for one element; the reply is read by ParseElements.
NlMessage GetElementMessage(const IpAddress& address);
// Asks for all (as a dump).
NlMessage ListElementsMessage(bool v6);
// The elements of one NFT_MSG_NEWSETELEM; comments of foreign form are empty.
std::vector<MasqueradeElement> ParseElements(const NlReply& reply);

// Asks for the ruleset's generation; the reply is read by ParseGeneration,
// which gives 0 for a malformed one.
NlMessage GetGenerationMessage();
uint32_t ParseGeneration(const NlReply& reply);

}  // namespace davit

#endif  // DAVIT_NET_NAT_NFT_MESSAGES_H_
