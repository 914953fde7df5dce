#ifndef DAVIT_NET_POD_NETWORK_H_
#define DAVIT_NET_POD_NETWORK_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "runtime/base/step_observer.h"

namespace davit {

// A port of the node that leads to one of the pod (capability "portMappings").
struct PortMapping {
  uint16_t host_port = 0;  // 1 to 65535, as container_port
  uint16_t container_port = 0;
  std::string protocol = "tcp";  // "tcp", "udp" or "sctp"
  std::string host_ip = {};      // empty: all of the node's addresses
  bool operator==(const PortMapping&) const = default;
};

// Capability "bandwidth". Rates in bits per second, bursts in bits; seen from
// the pod: ingress is what it receives. A rate of 0 is no limit; a rate needs a
// burst.
struct BandwidthLimits {
  uint64_t ingress_rate = 0;
  uint64_t ingress_burst = 0;
  uint64_t egress_rate = 0;
  uint64_t egress_burst = 0;
  bool operator==(const BandwidthLimits&) const = default;
};

// One network that a pod joins. All but the first two fields may be empty. What
// is asked for is had, or the Attach fails: FailedPrecondition naming the
// network and the capability if no plugin of it can be told, or if its result
// shows another address, MAC or host interface.
struct NetworkRequest {
  std::string network;  // name of a loaded configuration list
  std::string ifname;   // name inside the pod, "eth0"
  // Addresses to have, with or without a prefix length. Capability "ips"; of a
  // network that does not declare it, "args.cni.ips", which host-local reads.
  std::vector<std::string> ips = {};
  // "02:00:ac:10:1c:02". Capability "mac", else "args.cni.mac". Empty: our
  // plugins make one of pod name, network and ifname, which is always the same.
  std::string mac = {};
  std::vector<std::string> aliases = {};  // names; capability "aliases"
  // More CNI_ARGS, after those that every pod has and instead of them: no ';'
  // or '=' in either.
  std::vector<std::pair<std::string, std::string>> args = {};
  // Name of the node's end, "ve-web". Capability "hostInterfaceName", which is
  // our own: the plugins of others do not know it. Empty: the plugin's choice.
  std::string host_ifname = {};
  // More capabilities, name and value as JSON: {"deviceID",
  // "\"0000:3b:00.1\""}. For "dns", "ipRanges", "deviceID", "infinibandGUID"
  // and what may come.
  std::vector<std::pair<std::string, std::string>> capability_args = {};
  bool operator==(const NetworkRequest&) const = default;
};

// Everything the network needs to know of a pod. The netns must exist (see
// CreateNetns). Values only, so that it can be kept in the pod's record. Detach
// and Check need pod_id, netns_path and of the networks name and ifname: the
// rest they know from the Attach.
struct PodNetworkRequest {
  std::string pod_id;    // UUID; CNI_CONTAINERID
  std::string pod_name;  // given to plugins as CNI_ARGS K8S_POD_NAME
  std::string netns_path;
  std::vector<NetworkRequest> networks;
  // Both go to the first network, as in Kubernetes, which then must have a
  // plugin that declares the capability (else FailedPrecondition naming it).
  std::vector<PortMapping> port_mappings = {};
  BandwidthLimits bandwidth = {};
  // Capability "cgroupPath" of any network that declares it.
  std::string cgroup_path = {};
};

struct Route {
  std::string destination;  // CIDR
  std::string gateway;      // empty: on link
  bool operator==(const Route&) const = default;
};

struct DnsConfig {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;
  bool operator==(const DnsConfig&) const = default;
};

// What one ADD gave: the view of the pod's end.
struct InterfaceStatus {
  std::string network;
  std::string ifname;
  std::string mac;
  std::string host_ifname;             // the other end of the veth, if known
  std::vector<std::string> addresses;  // CIDR, "172.16.28.2/24"
  std::vector<std::string> gateways;
  std::vector<Route> routes;
  DnsConfig dns;
  uint32_t mtu = 0;     // of the pod's end; 0: the plugin does not tell
  std::string sandbox;  // netns path, as the plugin says; empty: it does not
};

struct NetworkInfo {
  std::string name;
  std::string file;  // the configuration's path
  std::string cni_version;
  std::vector<std::string> plugins;  // types, in order of the chain
  std::string error;                 // non-empty: the file is broken, and why
};

// A program that a network uses.
struct PluginInfo {
  std::string type;
  std::string path;  // empty: in none of the plugin directories
  std::vector<std::string> versions;  // of the specification, as VERSION says
  std::string error;  // non-empty: missing, or VERSION failed, and why
};

// A range of addresses that pods get theirs from.
struct AddressPoolInfo {
  std::string subnet;     // CIDR
  uint64_t capacity = 0;  // addresses that can be given out; 2^64-1: or more
  uint64_t used = 0;      // leases in it, other runtimes' included
};

struct NetworkDetail {
  NetworkInfo info;
  std::string config;               // the list's text, as used
  std::vector<PluginInfo> plugins;  // in order of the chain, then IPAM's
  // Of the chain: Unavailable if a plugin says that it cannot ADD now. OK for
  // lists older than 1.1.0, which has STATUS.
  absl::Status status;
  std::vector<std::string> attached_pod_ids;  // sorted
  std::vector<AddressPoolInfo> pools;  // host-local's; none of other IPAM
};

// Something that belongs to no pod, and what became of it.
struct GarbageItem {
  // "netns", "attachment" (a cached ADD), "lease", "link", "nft element".
  std::string kind;
  std::string name;
  std::string reason;
  absl::Status outcome;  // of its removal; OK in a dry run
};

// Told of every plugin execution; feeds metrics. Thread-safe.
class CniObserver {
 public:
  virtual ~CniObserver() = default;
  virtual void OnPluginCall(absl::string_view plugin, absl::string_view command,
                            absl::Duration took,
                            const absl::Status& outcome) = 0;
};

// Gives pods their interfaces: the one header of net/ that agent/ sees.
//
// Implements the runtime's part of the CNI specification (1.0.0 "Section 4",
// with cached results) on netns pinned at <netns_dir>/cni-<pod id>.
// Thread-safe; calls for different pods run in parallel, the caller serialises
// calls for one pod. Never changes the calling thread's namespaces.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  // Creates and pins the pod's network namespace, with "lo" up; returns the
  // pin's path. AlreadyExists if the pin is there.
  virtual absl::StatusOr<std::string> CreateNetns(
      const std::string& pod_id) = 0;

  // The same with a namespace that the caller has made, for instance one that
  // the pod's user namespace owns: `netns` is an nsfs file and stays the
  // caller's.
  virtual absl::StatusOr<std::string> AdoptNetns(const std::string& pod_id,
                                                 int netns) = 0;

  // Unpins it. OK if it is not there.
  virtual absl::Status RemoveNetns(const std::string& pod_id) = 0;

  // The pod ids of all pins of ours that exist, for reconciliation.
  virtual absl::StatusOr<std::vector<std::string>> ListNetns() = 0;

  // Runs ADD of every requested network in order. On failure everything that
  // was added, and the network whose ADD failed, gets DEL before this returns;
  // the error names network and plugin. NotFound for an unknown network (before
  // anything is done); DeadlineExceeded when a plugin hangs.
  virtual absl::StatusOr<std::vector<InterfaceStatus>> Attach(
      const PodNetworkRequest& request) = 0;

  // Runs DEL of every requested network, backwards. Idempotent; works with the
  // netns gone, after an agent restart, and when the configuration has changed
  // since ADD (the cached one is used). Tries all, joins the errors.
  virtual absl::Status Detach(const PodNetworkRequest& request) = 0;

  // Runs CHECK of every network.
  virtual absl::Status Check(const PodNetworkRequest& request) = 0;

  // All configurations found, broken ones included, in order of their files.
  virtual std::vector<NetworkInfo> ListNetworks() = 0;

  // One configuration in depth. NotFound if there is none of this name; for a
  // broken one info.error says why, and the rest is empty. Runs VERSION (of a
  // plugin that is new or has changed) and STATUS: may take as long as plugins
  // may take.
  virtual absl::StatusOr<NetworkDetail> DescribeNetwork(
      const std::string& name) = 0;

  // Detach of many pods, at the price of a few: what the kernel does for each
  // link (10-20 ms of waiting for RCU) is done once for all. One status for
  // each request, in order. No two requests may be of one pod.
  virtual std::vector<absl::Status> DetachMany(
      const std::vector<PodNetworkRequest>& requests) = 0;

  // Compares pins, attachments, leases, links and nft elements with the pods
  // that exist, removes what is ours and nobody's, and names each thing. What
  // another runtime made stays, and so does all that belongs to a pod of
  // `alive`: the requests of all pods that exist, also of those that are being
  // started or stopped; only pod_id counts. The caller lets no pod come into
  // being between making the list and the return; Attach and Detach wait
  // meanwhile. Never fails as a whole: each item has its outcome, and what
  // failed is found again the next time. A dry run only names.
  virtual std::vector<GarbageItem> CollectGarbage(
      const std::vector<PodNetworkRequest>& alive, bool dry_run) = 0;
};

}  // namespace davit

#endif  // DAVIT_NET_POD_NETWORK_H_
