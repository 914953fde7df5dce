#ifndef DAVIT_NET_PLUGINS_PORTMAP_H_
#define DAVIT_NET_PLUGINS_PORTMAP_H_

#include "net/plugins/plugin.h"

namespace davit {

// The chained plugin "portmap": leads ports of the node to ports of a pod that
// another plugin has connected. Keys, errors and results are those of Go's
// portmap (containernetworking/plugins); the work is done by elements of the
// nftables table `inet davit` (PortMaps). Unlike Go's it refuses a host port
// that is taken, and says who has it, and forgets UDP flows at DEL too.
//
// DEL needs neither prevResult nor portMappings nor the netns.
extern const Plugin kPortmapPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PORTMAP_H_
