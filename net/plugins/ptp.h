#ifndef DAVIT_NET_PLUGINS_PTP_H_
#define DAVIT_NET_PLUGINS_PTP_H_

#include "net/plugins/plugin.h"

namespace davit {

// The interface plugin "ptp": a veth between the node and the pod, routed, with
// addresses from IPAM and, with ipMasq, masquerading. Keys, results and the
// routes inside are those of Go's ptp.
//
// ADD leaves nothing behind when it fails. DEL undoes masquerading first, then
// the link, and gives the addresses back last, so that no one else can get an
// address to which anything still refers; it works with the netns gone, without
// prevResult, and any number of times. CHECK looks at both ends and at the
// masquerading. STATUS and GC are IPAM's.
extern const Plugin kPtpPlugin;

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PTP_H_
