#include "net/netlink/ip_address.h"

#include <arpa/inet.h>
#include <string.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};

// The mask byte number `index` of a prefix of `length` bits.
uint8_t MaskByte(int length, size_t index) {
  int bits = std::clamp(length - static_cast<int>(index) * 8, 0, 8);
  return static_cast<uint8_t>(0xff00 >> bits);
}

struct Run {
  int start = 0;
  int length = 0;
};

// The first longest run of zero groups that RFC 5952 shortens to "::".
Run LongestZeroRun(const std::array<uint16_t, 8>& groups) {
  Run best, current;
  for (int i = 0; i < 8; ++i) {
    if (groups[i] != 0) {
      current.length = 0;
      continue;
    }
    if (current.length++ == 0) current.start = i;
    if (current.length > best.length) best = current;
  }
  return best.length >= 2 ? best : Run{8, 0};
}

// inet_ntop(3) would write the last 32 bits of ::/96 addresses in dotted form;
// Go does not, and lease files are named by this text.
std::string FormatV6(const uint8_t* bytes) {
  std::array<uint16_t, 8> groups;
  for (int i = 0; i < 8; ++i) {
    groups[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  Run zeros = LongestZeroRun(groups);
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if (i == zeros.start) {
      text += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    absl::StrAppend(&text, absl::Hex(groups[i]));
  }
  return text;
}

}  // namespace

absl::StatusOr<IpAddress> IpAddress::FromBytes(const void* bytes, size_t size) {
  if (size != 4 && size != 16) {
    return absl::InvalidArgumentError(
        absl::StrCat("an IP address has 4 or 16 bytes, not ", size));
  }
  IpAddress address;
  const auto* data = static_cast<const uint8_t*>(bytes);
  if (size == 16 && memcmp(data, kMappedPrefix, sizeof(kMappedPrefix)) == 0) {
    data += sizeof(kMappedPrefix);
    size = 4;
  }
  address.v6_ = size == 16;
  std::copy_n(data, size, address.bytes_.begin());
  return address;
}

absl::StatusOr<IpAddress> IpAddress::Parse(absl::string_view text) {
  std::string copy(text);
  uint8_t bytes[16];
  // A NUL inside would hide the rest from inet_pton(3).
  if (copy.size() == strlen(copy.c_str())) {
    if (inet_pton(AF_INET, copy.c_str(), bytes) == 1) {
      return FromBytes(bytes, 4);
    }
    if (inet_pton(AF_INET6, copy.c_str(), bytes) == 1) {
      return FromBytes(bytes, 16);
    }
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("invalid IP address \"%s\"", absl::CHexEscape(text)));
}

bool IpAddress::IsLoopback() const {
  if (!v6_) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1,
                                        [](uint8_t byte) { return byte == 0; });
}

std::string IpAddress::ToString() const {
  if (v6_) return FormatV6(bytes_.data());
  return absl::StrCat(bytes_[0], ".", bytes_[1], ".", bytes_[2], ".",
                      bytes_[3]);
}

IpAddress IpAddress::Next() const {
  IpAddress next = *this;
  for (size_t i = size(); i-- > 0;) {
    if (++next.bytes_[i] != 0) break;
  }
  return next;
}

IpAddress IpAddress::Previous() const {
  IpAddress previous = *this;
  for (size_t i = size(); i-- > 0;) {
    if (previous.bytes_[i]-- != 0) break;
  }
  return previous;
}

IpAddress IpAddress::FirstOf(int length) const {
  IpAddress first = *this;
  for (size_t i = 0; i < size(); ++i) first.bytes_[i] &= MaskByte(length, i);
  return first;
}

IpAddress IpAddress::LastOf(int length) const {
  IpAddress last = *this;
  for (size_t i = 0; i < size(); ++i) {
    last.bytes_[i] |= static_cast<uint8_t>(~MaskByte(length, i));
  }
  return last;
}

absl::StatusOr<IpPrefix> IpPrefix::Parse(absl::string_view text) {
  absl::Status invalid = absl::InvalidArgumentError(
      absl::StrFormat("invalid CIDR address \"%s\"", absl::CHexEscape(text)));
  size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return invalid;
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  absl::string_view digits = text.substr(slash + 1);
  int length = 0;
  if (!address.ok() || digits.empty() || digits.size() > 3 ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(digits, &length)) {
    return invalid;
  }
  // An IPv4-mapped address counts its bits from the front of the IPv6 form.
  bool mapped = !address->is_v6() &&
                text.substr(0, slash).find(':') != absl::string_view::npos;
  if (mapped) length -= 96;
  if (length < 0 || length > address->bits()) return invalid;
  return IpPrefix{*address, length};
}

IpPrefix IpPrefix::Host(const IpAddress& address) {
  return {address, address.bits()};
}

std::string IpPrefix::ToString() const {
  return absl::StrCat(address.ToString(), "/", length);
}

bool IpPrefix::Contains(const IpAddress& other) const {
  return other.family() == address.family() &&
         other.FirstOf(length) == address.FirstOf(length);
}

}  // namespace davit
