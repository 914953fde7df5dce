#ifndef DAVIT_NET_CNI_POD_NETWORK_H_
#define DAVIT_NET_CNI_POD_NETWORK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "net/pod_network.h"

namespace davit {

struct CniPodNetworkOptions {
  std::string config_dir = "/etc/davit/net.d";
  std::vector<std::string> plugin_dirs;          // CNI_PATH, first hit wins
  std::string cache_dir = "/var/lib/davit/cni";  // results, libcni's format
  std::string netns_dir = "/var/run/netns";
  // A pinned netns that stands for the machine (design: --node-netns); plugins
  // run in it. Empty: the agent's own.
  std::string node_netns;
  absl::Duration plugin_timeout = absl::Seconds(30);
  CniObserver* observer = nullptr;  // not owned; may be null
};

// The real thing. Loads the configurations; a broken file is reported by
// ListNetworks and stops no other.
absl::StatusOr<std::unique_ptr<PodNetwork>> NewCniPodNetwork(
    const CniPodNetworkOptions& options);

}  // namespace davit

#endif  // DAVIT_NET_CNI_POD_NETWORK_H_
