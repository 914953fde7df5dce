#include "net/netlink/mac_address.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace davit {

absl::StatusOr<MacAddress> MacAddress::Parse(absl::string_view text) {
  absl::Status invalid = absl::InvalidArgumentError(
      absl::StrFormat("invalid MAC address \"%s\"", absl::CHexEscape(text)));
  std::vector<absl::string_view> groups =
      absl::StrSplit(text, absl::ByAnyChar(":-"));
  MacAddress mac;
  if (groups.size() != mac.bytes.size()) return invalid;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].size() != 2 || !absl::ascii_isxdigit(groups[i][0]) ||
        !absl::ascii_isxdigit(groups[i][1])) {
      return invalid;
    }
    mac.bytes[i] = static_cast<uint8_t>(absl::HexStringToBytes(groups[i])[0]);
  }
  if ((mac.bytes[0] & 1) != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("MAC address %s is a group address", mac.ToString()));
  }
  return mac;
}

MacAddress MacAddress::FromHash(uint64_t hash) {
  MacAddress mac;
  for (uint8_t& byte : mac.bytes) {
    byte = static_cast<uint8_t>(hash);
    hash >>= 8;
  }
  mac.bytes[0] = static_cast<uint8_t>((mac.bytes[0] & ~1) | 2);
  return mac;
}

std::string MacAddress::ToString() const {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                         bytes[2], bytes[3], bytes[4], bytes[5]);
}

}  // namespace davit
