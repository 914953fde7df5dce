#ifndef DAVIT_NET_PLUGINS_BANDWIDTH_H_
#define DAVIT_NET_PLUGINS_BANDWIDTH_H_

#include "net/plugins/plugin.h"

namespace davit {

// The chained plugin "bandwidth": limits what a pod with a veth receives and
// sends; see BandwidthConfig. What it receives is shaped where the node sends
// it, on the node's end of the veth; what it sends arrives there and is sent by
// an ifb link of the attachment instead, and shaped on that. Qdiscs, handles,
// numbers and names are those of Go's plugin, so either can check and delete
// the other's. Versions 0.3.0 and later.
//
// ADD gives prevResult on with the ifb; after a failure nothing of it is left.
// DEL removes the ifb; the rest goes with the veth.
extern const Plugin kBandwidthPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_BANDWIDTH_H_
