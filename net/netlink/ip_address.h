#ifndef DAVIT_NET_NETLINK_IP_ADDRESS_H_
#define DAVIT_NET_NETLINK_IP_ADDRESS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// One IPv4 or IPv6 address: a value, ordered first by family. The default is
// 0.0.0.0. IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) become IPv4, as in Go's
// net package, so equal addresses have equal texts and equal lease files.
class IpAddress {
 public:
  IpAddress() = default;

  // Parses "172.16.28.2" or "fd00::2". InvalidArgument for anything else: no
  // zones, no leading zeros, no white space.
  static absl::StatusOr<IpAddress> Parse(absl::string_view text);
  // From 4 or 16 bytes in network order. InvalidArgument for another size.
  static absl::StatusOr<IpAddress> FromBytes(const void* bytes, size_t size);

  int family() const { return v6_ ? 10 : 2; }  // AF_INET6, AF_INET
  bool is_v6() const { return v6_; }
  size_t size() const { return v6_ ? 16 : 4; }  // in bytes
  int bits() const { return static_cast<int>(size()) * 8; }
  const uint8_t* data() const { return bytes_.data(); }
  bool IsLoopback() const;  // 127.0.0.0/8, ::1

  // The canonical text (RFC 5952; IPv4 never embedded in IPv6).
  std::string ToString() const;

  // The address plus one; wraps to zero after the last one.
  IpAddress Next() const;
  // The first and the last address of its prefix of `length` bits.
  IpAddress FirstOf(int length) const;
  IpAddress LastOf(int length) const;
  // Minus one; wraps.
  IpAddress Previous() const;

  bool operator==(const IpAddress&) const = default;
  std::strong_ordering operator<=>(const IpAddress&) const = default;

 private:
  bool v6_ = false;
  std::array<uint8_t, 16> bytes_{};  // IPv4 uses the first four
};

// An address with the length of its prefix, "172.16.28.2/24"; host bits may be
// set.
struct IpPrefix {
  IpAddress address;
  int length = 0;

  // InvalidArgument unless the text is ADDRESS/LENGTH.
  static absl::StatusOr<IpPrefix> Parse(absl::string_view text);
  // The address alone: /32 or /128.
  static IpPrefix Host(const IpAddress& address);

  std::string ToString() const;
  IpPrefix Network() const { return {address.FirstOf(length), length}; }
  bool Contains(const IpAddress& other) const;

  bool operator==(const IpPrefix&) const = default;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_IP_ADDRESS_H_
