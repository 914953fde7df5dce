#ifndef DAVIT_NET_PLUGINS_HOST_LOCAL_H_
#define DAVIT_NET_PLUGINS_HOST_LOCAL_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The IPAM plugin "host-local": addresses from configured ranges, kept in
// files of Go's format (see DiskLeaseStore).
//
// ADD reserves one address of every range set, all or none; DEL releases what
// the attachment holds, also when the configured ranges have changed; CHECK
// fails if it holds none. STATUS says 50 if a range set is used up; GC releases
// what belongs to no attachment of "cni.dev/valid-attachments".
extern const Plugin kHostLocalPlugin;

// ADD for callers in this process: the reservation as values. On error nothing
// has been reserved.
absl::StatusOr<CniResult> HostLocalAdd(const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_HOST_LOCAL_H_
