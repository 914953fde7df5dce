#ifndef DAVIT_AGENT_RPC_NODE_FACTS_H_
#define DAVIT_AGENT_RPC_NODE_FACTS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// What the machine says of itself. A fact that cannot be had is empty or 0.
struct NodeFacts {
  std::string hostname, kernel, architecture;  // uname(2)
  std::string os;                              // PRETTY_NAME, os-release(5)
  std::string cgroup_layout;  // "unified", "hybrid" or "legacy", cgroups(7)
  int cpus = 0;               // online
  uint64_t memory_bytes = 0;
};

NodeFacts ReadNodeFacts();

// The layout by the text of /proc/self/mountinfo (proc(5)): what is mounted at
// and below /sys/fs/cgroup. Empty if nothing is.
std::string CgroupLayout(absl::string_view mountinfo);

// PRETTY_NAME by the text of os-release(5), without its shell quotes.
std::string PrettyName(absl::string_view os_release);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_NODE_FACTS_H_
