#ifndef DAVIT_NET_CNI_ATTACHMENT_H_
#define DAVIT_NET_CNI_ATTACHMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "net/cni/json.h"

namespace davit {

// One pod's membership of one network: the parameters of every plugin call for
// it, CNI specification section 2.
struct CniAttachment {
  std::string container_id;  // CNI_CONTAINERID
  std::string netns;         // CNI_NETNS, a path; empty: the netns is gone
  std::string ifname;        // CNI_IFNAME
  std::vector<std::pair<std::string, std::string>> args;  // CNI_ARGS, in order
  // Values for capabilities ("portMappings", "bandwidth", …). A plugin gets
  // those that it declares, as its "runtimeConfig". Always an object.
  CniJson capability_args = CniJson::object();
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_ATTACHMENT_H_
