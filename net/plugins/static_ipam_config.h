#ifndef DAVIT_NET_PLUGINS_STATIC_IPAM_CONFIG_H_
#define DAVIT_NET_PLUGINS_STATIC_IPAM_CONFIG_H_

#include "absl/status/statusor.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The result that the configuration of a "static" network says: addresses,
// routes and DNS, without interfaces. Addresses are with a prefix length:
//
//   ipam.addresses[].address, .gateway
//   IP of CNI_ARGS         "10.0.0.2/24,fd00::2/64", besides those
//   GATEWAY of CNI_ARGS    "10.0.0.1,fd00::1", each for those of IP's in whose
//                          network it is
//   args.cni.ips           instead of all those, without gateways
//   runtimeConfig.ips      instead of all those, without gateways
//
// There may be none at all. InvalidArgument names the field. Up to version
// 0.2.0 there can be one of each family.
absl::StatusOr<CniResult> ParseStaticIpamConfig(const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_STATIC_IPAM_CONFIG_H_
