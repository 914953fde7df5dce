#ifndef DAVIT_NET_NETLINK_NETLINK_H_
#define DAVIT_NET_NETLINK_NETLINK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/mac_address.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// A network interface as the kernel reports it.
struct Link {
  int index = 0;
  std::string name;
  std::string kind;   // "veth", "bridge"; empty for hardware and lo
  std::string alias;  // free text; ours names the owner
  // Unset for links without a 48-bit address.
  std::optional<MacAddress> mac;
  uint32_t mtu = 0;
  bool up = false;     // administratively (IFF_UP)
  int peer_index = 0;  // of a veth's other end, in that end's namespace
  bool operator==(const Link&) const = default;
};

// What to create with one RTM_NEWLINK: a veth (veth(4)) whose near end is in
// the socket's namespace and whose far end is born in another one, under its
// final name.
struct VethPair {
  std::string name;
  std::string peer_name;
  int peer_netns_fd = -1;              // open nsfs descriptor
  std::optional<MacAddress> peer_mac;  // the kernel picks one if unset
  uint32_t mtu = 0;                    // both ends; 0: the kernel's default
};

// An address of an interface.
struct Address {
  int index = 0;  // the interface's
  IpPrefix prefix;
  // No route for the prefix is made (IFA_F_NOPREFIXROUTE).
  bool no_prefix_route = false;
  // Usable at once: no duplicate address detection (IFA_F_NODAD; IPv6 only).
  bool no_dad = false;
  bool operator==(const Address&) const = default;
};

// A unicast route. Defaults are those of `ip route add DST dev IF`, but for the
// scope, which must be named.
struct Route {
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
  bool operator==(const Route&) const = default;
};

// The rtnetlink calls (rtnetlink(7)) that Davit's plugins need, on one socket
// bound to one network namespace. Nothing is cached; look-ups are keyed, and
// only the two List calls dump (one interface's entries). Errors name call and
// arguments, errno and the kernel's own words. One thread at a time.
class Netlink {
 public:
  // In the calling thread's network namespace.
  static absl::StatusOr<Netlink> Open();
  // In the namespace of an open nsfs descriptor; the socket is made by a thread
  // of its own.
  static absl::StatusOr<Netlink> OpenIn(int netns_fd);

  // NotFound if there is none of this name.
  absl::StatusOr<Link> GetLink(const std::string& name);

  // AlreadyExists if either name is taken in its namespace.
  absl::Status AddVethPair(const VethPair& pair);

  // Takes the interface up or down; a non-empty alias is set with it.
  absl::Status SetLinkUp(int index, bool up, absl::string_view alias = "");

  // NotFound if there is none. Blocks for an RCU grace period or two (10-20
  // ms): the kernel answers when no CPU can see the device any more.
  absl::Status DeleteLink(const std::string& name);

  // AlreadyExists if the interface has it.
  absl::Status AddAddress(const Address& address);
  // Of one interface, both families.
  absl::StatusOr<std::vector<Address>> ListAddresses(int index);

  // AlreadyExists for an equal route.
  absl::Status AddRoute(const Route& route);
  // Unicast routes of all tables that leave by one interface, one family
  // (AF_INET or AF_INET6).
  absl::StatusOr<std::vector<Route>> ListRoutes(int index, int family);
  // The index of the interface by which a packet to `destination` leaves.
  absl::StatusOr<int> LookUpRoute(const IpAddress& destination);

 private:
  explicit Netlink(NlSocket socket) : socket_(std::move(socket)) {}

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_NETLINK_H_
