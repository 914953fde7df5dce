#ifndef DAVIT_NET_PLUGINS_STATIC_IPAM_H_
#define DAVIT_NET_PLUGINS_STATIC_IPAM_H_

#include "absl/status/statusor.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The IPAM plugin "static": gives the addresses that the configuration names
// (see ParseStaticIpamConfig), and keeps nothing. DEL has nothing to do. CHECK
// fails if prevResult lacks one of them or has it with another gateway. STATUS
// fails if the configuration can never be added.
extern const Plugin kStaticPlugin;

// ADD for callers in this process.
absl::StatusOr<CniResult> StaticAdd(const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_STATIC_IPAM_H_
