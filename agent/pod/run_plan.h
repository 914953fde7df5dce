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
#include "runtime/userns/userns.h"

// What a start will do, as values: from a pod's spec and what the steps before
// gave to the requests of the layers below. Pure. See app_plan.h for the apps.

namespace davit {

// The configured networks that the pod joins: the spec's, by default
// {"default"}; none for the host's network and for {"none"}. Names of
// interfaces are filled in.
std::vector<NetworkAttachment> JoinedNetworks(const PodSpec& spec);

// The node's end of a pod's interface for systemd-networkd, whose
// 80-container-ve.network matches "ve-*": "ve-<pod>". A name that does not fit
// into an interface's 15 bytes is cut and ends in a hash of the whole.
std::string SystemdHostName(const std::string& pod_name);

// The pod's root at <pod>/rootfs, writable in <pod>/upper; seen through
// `userns`, if it has a path.
OverlaySpec PlanRootOverlay(const PodPaths& paths, const ImageHold& image,
                            const PodUserns& userns);

// The pod's journal. journald waits for the disk when it begins a file and when
// it ends, 5 to 10 ms of each start and stop; in between it does so every five
// minutes, and the kernel writes sooner.
OverlaySpec PlanJournalOverlay(const PodPaths& paths, const PodUserns& userns);

// An app's root at AppRootInPod in the pod's root.
OverlaySpec PlanAppOverlay(const PodPaths& paths, const std::string& app,
                           const ImageHold& image, const PodUserns& userns);

// The networks in order of JoinedNetworks; port maps and bandwidth go to the
// first. Needs nothing but the spec, id and `netns_path`, so that the DEL of a
// later agent asks for the same.
PodNetworkRequest PlanNetwork(const Pod& pod, const std::string& netns_path);

struct BootInputs {
  PodPaths paths;
  std::vector<AppSpec> apps;
  std::string node_resolv_conf;  // the text of the node's
  std::string node_netns;        // for pods with the node's network
  absl::Duration ready_timeout;
  ProcessConfinement confinement;  // of the machine
};

// What the pod's resolv.conf says; `pod.status` has its interfaces.
DnsConfig PlanDns(const Pod& pod, const std::string& node_resolv_conf);

// What Launcher::Prepare needs of it: `pod.status` has its user namespace.
BootRequest PlanPreparation(const Pod& pod, const PodPaths& paths);

// `pod.status` has its interfaces, user and network namespaces already.
BootRequest PlanBoot(const Pod& pod, const BootInputs& inputs);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RUN_PLAN_H_
