#ifndef DAVIT_NET_PLUGINS_TUNING_H_
#define DAVIT_NET_PLUGINS_TUNING_H_

#include "net/plugins/plugin.h"

namespace davit {

// The chained plugin "tuning": sysctls of the pod's network namespace, and
// attributes of its interface; see TuningConfig.
//
// ADD sets the sysctls in their order, writes what the interface had to
// <dataDir>/<container id>_<ifname>.json (in the format of Go's tuning, so
// either can undo the other's), changes the interface in one step, and gives
// prevResult on with the new MAC address. If it fails the interface is as it
// was; sysctls stay, and die with the namespace. DEL restores the interface, if
// there is one, and never fails. CHECK compares all of it.
extern const Plugin kTuningPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_TUNING_H_
