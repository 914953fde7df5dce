#include "net/plugins/parity/differences.h"

namespace davit::testing {

const std::vector<ParityDifference>& EverywhereDifferences() {
  static const auto* const kDifferences = new std::vector<ParityDifference>{
      {"(after/)?file/.*/mode",
       "files are for their owner only, as in Go's later releases"},
      {"(after/)?file/.*/.index", "who holds what, where leases are many"},
      {"(pod|node)/link/[^/]*/txqlen",
       "veths keep the kernel's queue length, which a qdisc put on them needs; "
       "Go's library says 0"},
      {"after/node/link/(cni0|br7)/address",
       "a bridge that ours makes keeps its MAC address"},
      {"node/link/(VETH|bwp[^/]*)/ifalias", "ours tells whose the link is"},
      {"(pod|node)/addr/.*/noprefixroute",
       "Go's adds the address with its route and deletes the route"},
      {"(after/)?(pod|node)/addr/.*/nodad",
       "leases make an address unique: nobody is asked for it"},
      {"(after/)?(pod|node)/sys/net/ipv6/conf/(VETH|eth0|cni0|br7)/accept_dad",
       "so that link-local addresses can be used at once too"},
      {"node/(link|sys/net/ipv6/conf)/(VETH|bwp[^/]*)/(inet6_)?addr_gen_mode",
       "the node's end has a link-local address only where pods have IPv6"},
  };
  return *kDifferences;
}

}  // namespace davit::testing
