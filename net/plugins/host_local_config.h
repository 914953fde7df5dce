#ifndef DAVIT_NET_PLUGINS_HOST_LOCAL_CONFIG_H_
#define DAVIT_NET_PLUGINS_HOST_LOCAL_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/ipam/range.h"
#include "net/netlink/ip_address.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The "ipam" object of a configuration, with what the runtime adds to it.
struct HostLocalConfig {
  std::string data_dir;     // default: DiskLeaseStore::kDefaultDataDir
  std::string resolv_conf;  // a resolv.conf(5) whose content becomes dns
  std::vector<RangeSet> sets;
  std::vector<CniRoute> routes;
  // From CNI_ARGS IP, args.cni.ips and runtimeConfig.ips, in this order.
  std::vector<IpAddress> requested_ips;
};

// Reads all of it, for ADD. Keys, defaults and checks are those of Go's
// host-local; errors name the field.
absl::StatusOr<HostLocalConfig> ParseHostLocalConfig(
    const PluginRequest& request);

// Only the directory, for the other commands, which must work whatever became
// of the ranges since ADD.
absl::StatusOr<std::string> ParseHostLocalDataDir(const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_HOST_LOCAL_CONFIG_H_
