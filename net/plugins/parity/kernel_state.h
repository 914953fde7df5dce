#ifndef DAVIT_NET_PLUGINS_PARITY_KERNEL_STATE_H_
#define DAVIT_NET_PLUGINS_PARITY_KERNEL_STATE_H_

#include <map>
#include <string>

#include "net/netlink/netns_fixture.h"

namespace davit::testing {

// What can be seen of something, as text: "link/eth0/mtu" -> "1500".
using Facts = std::map<std::string, std::string>;

// The facts of a network namespace, below `prefix`: links, addresses, routes of
// all tables, permanent neighbours, qdiscs, ingress filters, and every sysctl
// below net/. Not what the kernel gives and changes by itself at any time:
// indexes, counters, timers, link-local addresses, and what they bring along.
// Read with ip(8) and tc(8); a fact "error" tells if they fail.
Facts ReadKernelState(const TestNetns& netns, const std::string& prefix);

// The regular files below a directory: path -> content, path/mode -> mode.
Facts ReadFiles(const std::string& directory, const std::string& prefix);

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_PARITY_KERNEL_STATE_H_
