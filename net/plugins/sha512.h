#ifndef DAVIT_NET_PLUGINS_SHA512_H_
#define DAVIT_NET_PLUGINS_SHA512_H_

#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// SHA-512 (FIPS 180-4) in 128 hexadecimal digits. Go's plugins make the names
// of links and chains of it, which ours must find. Of our own, as libcrypto
// would double the size of the static binary.
std::string Sha512Hex(absl::string_view data);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_SHA512_H_
