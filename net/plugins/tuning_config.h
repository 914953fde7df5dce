#ifndef DAVIT_NET_PLUGINS_TUNING_CONFIG_H_
#define DAVIT_NET_PLUGINS_TUNING_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/mac_address.h"
#include "net/plugins/plugin.h"

namespace davit {

struct TuningSysctl {
  std::string key;   // as it was written: "net.ipv4.conf.IFNAME.arp_notify"
  std::string path;  // "/proc/sys/net/ipv4/conf/eth0/arp_notify"
  std::string value;
};

// What to set; what is unset stays as it is. All of it may also be in args.cni,
// which wins; the MAC address is, in this order, of args.cni.mac,
// runtimeConfig.mac, MAC of CNI_ARGS, mac.
struct TuningConfig {
  static constexpr char kDefaultDataDir[] = "/run/cni/tuning";

  // "sysctl": in keys '.' or '/' separates, and the first IFNAME stands for the
  // interface's name. None is outside of /proc/sys/net.
  std::vector<TuningSysctl> sysctls;
  std::optional<MacAddress> mac;
  bool promisc = false;
  std::optional<uint32_t> mtu;  // bytes
  std::optional<bool> all_multicast;
  std::optional<uint32_t> tx_queue_length;  // packets; "txQLen"

  bool changes_link() const {
    return mac || promisc || mtu || all_multicast || tx_queue_length;
  }
};

// InvalidArgument names the field; a sysctl that is there twice is refused.
absl::StatusOr<TuningConfig> ParseTuningConfig(const PluginRequest& request);

// Where the backups are.
absl::StatusOr<std::string> ParseTuningDataDir(const PluginRequest& request);

// The node's own say on sysctls: a file of regular expressions (regex(7),
// extended), one a line, one of which must be found in the key as it was
// written. Without the file everything is allowed.
inline constexpr char kTuningAllowlist[] = "/etc/cni/tuning/allowlist.conf";

// PermissionDenied names the sysctl that the file does not allow;
// FailedPrecondition if the file cannot be read or understood.
absl::Status CheckTuningAllowlist(const TuningConfig& config,
                                  const std::string& path = kTuningAllowlist);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_TUNING_CONFIG_H_
