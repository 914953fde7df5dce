#ifndef DAVIT_NET_PLUGINS_FIREWALL_PLUGIN_H_
#define DAVIT_NET_PLUGINS_FIREWALL_PLUGIN_H_

#include "net/plugins/plugin.h"

namespace davit {

// The chained plugin "firewall": lets forwarded packets from and to a pod's
// addresses through where iptables' FORWARD chain may drop them, and shuts
// bridges off from each other (ingressPolicy). Keys and errors are those of
// Go's firewall (containernetworking/plugins); the rules are Firewall's, added
// over netlink. Versions from 0.4.0.
//
// DEL needs neither prevResult nor the netns.
extern const Plugin kFirewallPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_FIREWALL_PLUGIN_H_
