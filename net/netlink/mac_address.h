#ifndef DAVIT_NET_NETLINK_MAC_ADDRESS_H_
#define DAVIT_NET_NETLINK_MAC_ADDRESS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// A 48-bit Ethernet address; a value.
struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  // Parses "02:00:5e:10:00:01" ('-' also separates). InvalidArgument for
  // another form, and for a group address, which no interface may have.
  static absl::StatusOr<MacAddress> Parse(absl::string_view text);
  // A unicast, locally administered address (IEEE 802, bits 0 and 1 of the
  // first byte) made of the low 46 bits of `hash`.
  static MacAddress FromHash(uint64_t hash);

  std::string ToString() const;
  bool operator==(const MacAddress&) const = default;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_MAC_ADDRESS_H_
