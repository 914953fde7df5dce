#ifndef DAVIT_NET_PLUGINS_MACVLAN_H_
#define DAVIT_NET_PLUGINS_MACVLAN_H_

#include "net/plugins/plugin.h"

namespace davit {

// The interface plugin "macvlan": an interface of the pod that shares one of
// the node's, with a MAC address of its own on the same network, and addresses
// from IPAM if that is configured. Keys, defaults and results are those of Go's
// macvlan; IPAM's DNS is kept unless "dns" is set.
//
// A pod and the node cannot talk to each other through it: that is macvlan's
// nature. IPv6 addresses are used without duplicate address detection, so the
// range must be this node's own, or "enabledad" set; see PodInterfaceOptions.
//
// ADD leaves nothing behind when it fails. DEL removes the interface, then
// gives the addresses back; with the netns gone, the interface is too. The
// neighbours are told of the addresses (arp_notify), which nothing waits for.
extern const Plugin kMacvlanPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_MACVLAN_H_
