#ifndef DAVIT_NET_CNI_RESULT_VERSION_H_
#define DAVIT_NET_CNI_RESULT_VERSION_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/cni/json.h"

namespace davit {

// Says a result in the words of another version of the specification, for
// plugins of different ages in one chain and for cached results. The shapes:
//
//   0.1.0, 0.2.0         ip4 and ip6, each with its routes
//   0.3.0, 0.3.1, 0.4.0  interfaces, ips with "version", routes, dns always
//   1.0.0, 1.1.0         ips without "version"; dns only if there is any
//
// What the other shape has no word for is lost: interfaces and all but the
// first address of each family towards 0.2.0, an interface's mtu, socketPath
// and pciID and a route's mtu, advmss, priority, table and scope below 1.0.0.
// All else stays as it is, unknown keys too. InvalidArgument naming the field
// for a result that cannot be read, for a version that we do not know, and for
// no address towards 0.2.0.
absl::StatusOr<CniJson> ConvertCniResult(const CniJson& result,
                                         absl::string_view version);

}  // namespace davit

#endif  // DAVIT_NET_CNI_RESULT_VERSION_H_
