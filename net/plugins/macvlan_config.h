#ifndef DAVIT_NET_PLUGINS_MACVLAN_CONFIG_H_
#define DAVIT_NET_PLUGINS_MACVLAN_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "net/netlink/link.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/plugin.h"

namespace davit {

// The configuration of one network of the plugin "macvlan", but for "ipam". The
// comments give the keys; keys and defaults are those of Go's plugin.
struct MacvlanConfig {
  InterfaceConfig interface;  // with "mac"
  std::string master;  // the interface to share; empty: the default route's
  MacvlanMode mode = MacvlanMode::kBridge;  // "mode"
  bool link_in_container = false;  // "linkInContainer": master is in the pod
  uint32_t broadcast_queue = 0;  // "bcqueuelen", packets; 0: the kernel's 1000
};

// InvalidArgument names the field.
absl::StatusOr<MacvlanConfig> ParseMacvlanConfig(const PluginRequest& request);

// "bridge", "private", "vepa", "passthru".
absl::string_view MacvlanModeName(MacvlanMode mode);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_MACVLAN_CONFIG_H_
