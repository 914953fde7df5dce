#ifndef DAVIT_NET_NAT_MAC_SPOOF_MESSAGES_H_
#define DAVIT_NET_NAT_MAC_SPOOF_MESSAGES_H_

#include <string>
#include <vector>

#include "net/netlink/mac_address.h"
#include "net/netlink/nl_message.h"

namespace davit {

// The nf_tables messages (linux/netfilter/nf_tables.h) of which MacSpoofCheck's
// table is made; see there. Pure.

// One port, with the one address that may send by it.
struct CheckedPort {
  std::string ifname;
  MacAddress mac;
  std::string owner;
  bool operator==(const CheckedPort&) const = default;
};

// Creates the table with its sets, chain and rule; EEXIST if there is one.
std::vector<NlMessage> CreateSpoofTableMessages();
NlMessage DeleteSpoofTableMessage();

// EEXIST if there is an element for the port's name.
std::vector<NlMessage> AddPortMessages(const CheckedPort& port);
// ENOENT if there is none.
std::vector<NlMessage> DeletePortMessages(const CheckedPort& port);
// Asks for all (as a dump of the set "addresses").
NlMessage ListPortsMessage();
// The ports of one NFT_MSG_NEWSETELEM of that dump.
std::vector<CheckedPort> ParsePorts(const NlReply& reply);

}  // namespace davit

#endif  // DAVIT_NET_NAT_MAC_SPOOF_MESSAGES_H_
