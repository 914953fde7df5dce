#ifndef DAVIT_NET_POD_NETWORK_H_
#define DAVIT_NET_POD_NETWORK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/step_observer.h"

namespace davit {

// One network that a pod joins.
struct NetworkRequest {
  std::string network;  // name of a loaded configuration list
  std::string ifname;   // name inside the pod, "eth0"
};

// Everything the network needs to know of a pod. The netns must exist (see
// CreateNetns). Values only, so that it can be kept in the pod's record.
struct PodNetworkRequest {
  std::string pod_id;    // UUID; CNI_CONTAINERID
  std::string pod_name;  // given to plugins as CNI_ARGS K8S_POD_NAME
  std::string netns_path;
  std::vector<NetworkRequest> networks;
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
};

struct NetworkInfo {
  std::string name;
  std::string file;  // the configuration's path
  std::string cni_version;
  std::vector<std::string> plugins;  // types, in order of the chain
  std::string error;                 // non-empty: the file is broken, and why
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
};

}  // namespace davit

#endif  // DAVIT_NET_POD_NETWORK_H_
