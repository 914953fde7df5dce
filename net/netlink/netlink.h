#ifndef DAVIT_NET_NETLINK_NETLINK_H_
#define DAVIT_NET_NETLINK_NETLINK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/link.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// An address of an interface.
struct Address {
  int index = 0;  // the interface's
  IpPrefix prefix;
  // No route for the prefix is made (IFA_F_NOPREFIXROUTE).
  bool no_prefix_route = false;
  // Usable at once: no duplicate address detection (IFA_F_NODAD; IPv6 only).
  bool no_dad = false;
  // Reported only: duplicate address detection is under way (IFA_F_TENTATIVE),
  // or has found somebody else with the address (IFA_F_DADFAILED).
  bool tentative = false;
  bool duplicate = false;
  bool operator==(const Address&) const = default;
};

// A unicast route. Defaults are those of `ip route add DST dev IF`, but for the
// scope, which must be named.
struct LinkRoute {
  enum class Scope : uint8_t { kUniverse = 0, kLink = 253, kHost = 254 };

  int index = 0;  // of the outgoing interface
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> source;  // preferred source address
  uint8_t scope = static_cast<uint8_t>(Scope::kUniverse);
  // The gateway is on the link although no route says so (RTNH_F_ONLINK).
  bool on_link = false;
  uint32_t table = 254;   // main
  uint32_t priority = 0;  // metric
  uint32_t mtu = 0;
  uint32_t advmss = 0;
  bool operator==(const LinkRoute&) const = default;
};

// The rtnetlink calls (rtnetlink(7)) that Davit's plugins need, on one socket
// bound to one network namespace. Nothing is cached; look-ups are keyed, and
// only the List and Find calls dump (one interface's entries, or routes).
// Errors name call and arguments, errno and the kernel's own words. One thread
// at a time.
class Netlink {
 public:
  // In the calling thread's network namespace.
  static absl::StatusOr<Netlink> Open();
  // In the namespace of an open nsfs descriptor; the socket is made by a thread
  // of its own.
  static absl::StatusOr<Netlink> OpenIn(int netns_fd);

  // NotFound if there is none. A name may be an alternative one.
  absl::StatusOr<Link> GetLink(const std::string& name);
  absl::StatusOr<Link> GetLink(int index);
  // All links of the namespace.
  absl::StatusOr<std::vector<Link>> ListLinks();

  // AlreadyExists if either name is taken in its namespace.
  absl::Status AddVethPair(const VethPair& pair);
  // AlreadyExists if the name is taken.
  absl::Status AddBridge(const BridgeSpec& bridge);
  // AlreadyExists if the name is taken, in the socket's namespace or where the
  // link is to be: the kernel looks into both.
  absl::Status AddMacvlan(const MacvlanSpec& macvlan);

  absl::Status ChangeLink(int index, const LinkChange& change);
  // Takes the interface up or down; a non-empty alias is set with it.
  absl::Status SetLinkUp(int index, bool up, absl::string_view alias = "");
  // Makes the link known under one more name. Linux 5.5 or later.
  absl::Status AddAlternativeName(int index, const std::string& name);

  // NotFound if there is none. Blocks for an RCU grace period or two (10-20
  // ms): the kernel answers when no CPU can see the device any more.
  absl::Status DeleteLink(const std::string& name);
  // Deletes all of them for the price of one: they are put into a group
  // (IFLA_GROUP) of a random number between 0x64000000 and 0x64ffffff, which is
  // nobody else's, and the group is deleted by one message. Those that are gone
  // already are passed over. After an error those that live on are back in the
  // groups that they were in.
  absl::Status DeleteLinks(absl::Span<const int> indexes);

  // Settings of the port that the link is of its bridge.
  absl::Status SetBridgePort(int index, const BridgePort& port);
  // Needs a bridge with VLAN filtering, and a kernel with it.
  absl::Status AddPortVlans(int index, absl::Span<const PortVlan> vlans);
  absl::Status RemovePortVlans(int index, absl::Span<const PortVlan> vlans);

  // AlreadyExists if the interface has it.
  absl::Status AddAddress(const Address& address);
  // NotFound if the interface does not have it.
  absl::Status DeleteAddress(int index, const IpPrefix& prefix);
  // Of one interface, both families.
  absl::StatusOr<std::vector<Address>> ListAddresses(int index);

  // AlreadyExists for an equal route.
  absl::Status AddRoute(const LinkRoute& route);
  // The same, behind other routes to that destination, which stay in force.
  absl::Status AppendRoute(const LinkRoute& route);
  // Unicast routes of all tables that leave by one interface, one family
  // (AF_INET or AF_INET6).
  absl::StatusOr<std::vector<LinkRoute>> ListRoutes(int index, int family);
  // The index of the interface of the first default route in the main table,
  // IPv4 before IPv6. NotFound if there is none.
  absl::StatusOr<int> FindDefaultRouteLink();
  // The index of the interface by which a packet to `destination` leaves.
  absl::StatusOr<int> LookUpRoute(const IpAddress& destination);

 private:
  absl::Status NewRoute(const LinkRoute& route, int flags);
  explicit Netlink(NlSocket socket) : socket_(std::move(socket)) {}

  absl::StatusOr<Link> GetLink(NlMessage message, const std::string& what);
  absl::Status DeleteGroup(uint32_t group, absl::Span<const Link> links);

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_NETLINK_H_
