#ifndef DAVIT_NET_PLUGINS_LOOPBACK_H_
#define DAVIT_NET_PLUGINS_LOOPBACK_H_

#include "net/plugins/plugin.h"

namespace davit {

// The plugin "loopback": brings lo up in the container, whatever CNI_IFNAME
// says, and down at DEL. In a chain it passes prevResult on.
extern const Plugin kLoopbackPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_LOOPBACK_H_
