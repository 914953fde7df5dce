#ifndef DAVIT_NET_NETLINK_STABLE_HASH_H_
#define DAVIT_NET_NETLINK_STABLE_HASH_H_

#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace davit {

// A 64-bit FNV-1a hash that is the same in every process, on every machine and
// in every version, for names and MAC addresses that must be found again. The
// parts are kept apart, so {"ab", "c"} and {"a", "bc"} differ. Not for secrets.
constexpr uint64_t StableHash(std::initializer_list<absl::string_view> parts) {
  uint64_t hash = 0xcbf29ce484222325;
  auto mix = [&hash](unsigned char byte) {
    hash = (hash ^ byte) * 0x100000001b3;
  };
  for (absl::string_view part : parts) {
    for (char c : part) mix(static_cast<unsigned char>(c));
    mix(0);
  }
  return hash;
}

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_STABLE_HASH_H_
