#ifndef DAVIT_NET_PLUGINS_PARITY_DIFFERENCES_H_
#define DAVIT_NET_PLUGINS_PARITY_DIFFERENCES_H_

#include <string>
#include <vector>

namespace davit::testing {

// Facts that differ between our plugins and Go's on purpose.
struct ParityDifference {
  // A regular expression (ECMAScript) that matches the whole name of a fact,
  // such as "add/0/interfaces/1/mac" or "pod/link/eth0/mtu".
  std::string fact;
  std::string reason;
};

// Those of every row; they need not be seen.
const std::vector<ParityDifference>& EverywhereDifferences();

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_PARITY_DIFFERENCES_H_
