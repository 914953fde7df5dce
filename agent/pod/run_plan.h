#ifndef DAVIT_AGENT_POD_RUN_PLAN_H_
#define DAVIT_AGENT_POD_RUN_PLAN_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "agent/pod/pod_paths.h"
#include "net/pod_network.h"
#include "runtime/app/app.h"
#include "runtime/boot/launcher.h"
#include "runtime/image/image_store.h"
#include "runtime/rootfs/rootfs.h"

// What a start will do, as values: from a pod's spec and what the steps before
// gave to the requests of the layers below. Pure. See app_plan.h for the apps.

namespace davit {

// True if the pod has the node's own network: host_network, or the one network
// "host".
bool UsesHostNetwork(const PodSpec& spec);

// The configured networks that the pod joins: the spec's, by default
// {"default"}; none for the host's network and for {"none"}.
std::vector<std::string> JoinedNetworks(const PodSpec& spec);

// The pod's root at <pod>/rootfs, writable in <pod>/upper.
OverlaySpec PlanRootOverlay(const PodPaths& paths, const ImageHold& image);

// An app's root at AppRootInPod in the pod's root.
OverlaySpec PlanAppOverlay(const PodPaths& paths, const std::string& app,
                           const ImageHold& image);

// Interfaces eth0, eth1, … in order of JoinedNetworks.
PodNetworkRequest PlanNetwork(const Pod& pod, const std::string& netns_path);

struct BootInputs {
  PodPaths paths;
  std::vector<AppSpec> apps;
  std::string node_resolv_conf;  // the text of the node's
  std::string app_launcher;      // the davit-app binary on the host
  absl::Duration ready_timeout;
};

// `pod.status` has its interfaces and netns already.
BootRequest PlanBoot(const Pod& pod, const BootInputs& inputs);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RUN_PLAN_H_
