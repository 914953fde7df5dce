#ifndef DAVIT_NET_PLUGINS_PTP_CONFIG_H_
#define DAVIT_NET_PLUGINS_PTP_CONFIG_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "net/netlink/mac_address.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The configuration of one ptp network, but for "ipam".
struct PtpConfig {
  bool ip_masq = false;  // masquerade what leaves the node
  uint32_t mtu = 0;      // bytes; 0: the kernel's default
  // The container's MAC address: runtimeConfig.mac, else args.cni.mac, else MAC
  // of CNI_ARGS, else made of the network's name and the pod's (K8S_POD_NAME of
  // CNI_ARGS), so that a pod keeps it; else the kernel picks one.
  std::optional<MacAddress> mac;
  CniDns dns;  // replaces IPAM's if any of it is set
};

// InvalidArgument names the field.
absl::StatusOr<PtpConfig> ParsePtpConfig(const PluginRequest& request);

// prevResult of DEL and CHECK, or nullopt if there is none.
absl::StatusOr<std::optional<CniResult>> ParsePrevResult(
    const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PTP_CONFIG_H_
