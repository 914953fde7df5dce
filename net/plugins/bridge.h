#ifndef DAVIT_NET_PLUGINS_BRIDGE_H_
#define DAVIT_NET_PLUGINS_BRIDGE_H_

#include "net/plugins/plugin.h"

namespace davit {

// The interface plugin "bridge": a veth whose node's end is a port of a bridge,
// which is created if need be; with addresses from IPAM, if that is configured,
// the bridge as gateway and masquerading if asked for. Keys, defaults and
// results are those of Go's bridge.
//
// ADD leaves nothing behind when it fails but the bridge, which other pods may
// have begun to use. DEL undoes masquerading and the check of MAC addresses
// first, then the link, and gives the addresses back last; it works with the
// netns gone, without prevResult, and any number of times. The bridge stays.
// CHECK looks at both ends, at the bridge and at the rules. STATUS and GC are
// IPAM's.
extern const Plugin kBridgePlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BRIDGE_H_
