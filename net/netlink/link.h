#ifndef DAVIT_NET_NETLINK_LINK_H_
#define DAVIT_NET_NETLINK_LINK_H_

#include <cstdint>
#include <optional>
#include <string>

#include "net/netlink/mac_address.h"

namespace davit {

// Network interfaces as values: what the kernel reports of one, and what it is
// asked to make. Names are of 1 to 15 bytes; indexes are those of the socket's
// network namespace; an MTU is in bytes, 0 for the kernel's default.

// The settings of a bridge's port that we set (bridge(8)).
struct BridgePort {
  bool hairpin = false;   // frames may leave where they came in
  bool isolated = false;  // no frames from or to other isolated ports
  bool operator==(const BridgePort&) const = default;
};

// The state of a bridge that concerns its VLANs.
struct BridgeState {
  bool vlan_filtering = false;
  uint16_t default_pvid = 0;  // the VLAN of a new port; 0: none
  bool operator==(const BridgeState&) const = default;
};

// The numbers are the kernel's (linux/if_link.h).
enum class MacvlanMode : uint32_t {
  kPrivate = 1,
  kVepa = 2,
  kBridge = 4,
  kPassthru = 8,
};

// A network interface as the kernel reports it.
struct Link {
  int index = 0;
  std::string name;
  std::string kind;   // "veth", "bridge"; empty for hardware and lo
  std::string alias;  // free text; ours names the owner
  // Unset for links without a 48-bit address.
  std::optional<MacAddress> mac;
  uint32_t mtu = 0;
  bool up = false;               // administratively (IFF_UP)
  bool operational = false;      // can pass packets (IF_OPER_UP, RFC 2863)
  bool promiscuous = false;      // by request (IFF_PROMISC)
  bool all_multicast = false;    // likewise (IFF_ALLMULTI)
  uint32_t tx_queue_length = 0;  // packets
  // Of a veth's other end, in that end's namespace; of a macvlan's master.
  int peer_index = 0;
  int master_index = 0;  // of the bridge that it is a port of; 0: none
  uint32_t group = 0;
  std::optional<BridgePort> port;      // if it is a bridge's port
  std::optional<BridgeState> bridge;   // if it is a bridge
  std::optional<MacvlanMode> macvlan;  // if it is a macvlan
  bool operator==(const Link&) const = default;
};

// What to create with one RTM_NEWLINK: a veth (veth(4)) whose near end is in
// the socket's namespace and whose far end is born in another one, under its
// final name.
struct VethPair {
  std::string name;
  std::string peer_name;
  int peer_netns_fd = -1;              // open nsfs descriptor; -1: the same
  std::optional<MacAddress> peer_mac;  // the kernel picks one if unset
  uint32_t mtu = 0;                    // both ends
  int master_index = 0;                // near end's bridge; 0: none
};

struct BridgeSpec {
  std::string name;
  uint32_t mtu = 0;
  // A bridge without an address of its own takes the lowest one of its ports,
  // and changes it when ports come and go.
  std::optional<MacAddress> mac;
  bool vlan_filtering = false;
};

struct MacvlanSpec {
  std::string name;
  int master_index = 0;  // the interface that it shares
  int netns_fd = -1;     // where it is to be; -1: the socket's namespace
  MacvlanMode mode = MacvlanMode::kBridge;
  uint32_t mtu = 0;
  std::optional<MacAddress> mac;
  uint32_t broadcast_queue = 0;  // packets; 0: the kernel's default
};

// What to change of an interface, in one step; the rest stays.
struct LinkChange {
  std::optional<bool> up;
  std::optional<bool> promiscuous;
  std::optional<bool> all_multicast;
  std::optional<std::string> name;  // only while it is down
  std::optional<std::string> alias;
  std::optional<MacAddress> mac;
  std::optional<uint32_t> mtu;
  std::optional<uint32_t> tx_queue_length;
  std::optional<uint32_t> group;
};

// VLANs of a bridge's port, first to last.
struct PortVlan {
  uint16_t first = 0;
  uint16_t last = 0;
  // Frames that come in without a tag belong to it. Only for a single VLAN.
  bool pvid = false;
  bool untagged = false;  // frames leave without a tag
  bool operator==(const PortVlan&) const = default;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_LINK_H_
