#ifndef DAVIT_NET_PLUGINS_FIREWALL_CONFIG_H_
#define DAVIT_NET_PLUGINS_FIREWALL_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "net/nat/firewall.h"
#include "net/plugins/plugin.h"

namespace davit {

struct FirewallConfig {
  std::string admin_chain = "CNI-ADMIN";  // iptablesAdminChainName
  FirewallPod::Ingress ingress = FirewallPod::Ingress::kOpen;
};

// InvalidArgument names the field. `backend` may be empty, "iptables" or
// anything else, which means the same, as with Go's plugin; "firewalld" is
// refused (code 2), and with it the use of firewalldZone.
absl::StatusOr<FirewallConfig> ParseFirewallConfig(
    const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_FIREWALL_CONFIG_H_
