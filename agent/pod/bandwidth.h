#ifndef DAVIT_AGENT_POD_BANDWIDTH_H_
#define DAVIT_AGENT_POD_BANDWIDTH_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/pod_network.h"

namespace davit {

// Kubernetes' annotations of a pod
// (https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/#support-traffic-shaping).
inline constexpr char kIngressBandwidth[] = "kubernetes.io/ingress-bandwidth";
inline constexpr char kEgressBandwidth[] = "kubernetes.io/egress-bandwidth";

// A quantity of Kubernetes as a whole number, rounded up: "10M", "1Gi", "1.5k",
// "1e6", "500m"; in units of 1 / `parts`. InvalidArgument if it is none, is
// negative, or is beyond 2^63.
absl::StatusOr<uint64_t> ParseQuantity(absl::string_view text, int parts = 1);

// The limits that the annotations ask for; 0 for those that they do not name.
// Rates must be from 1k to 1P bits per second, as in Kubernetes. The burst,
// which Kubernetes leaves open, is what flows in 100 ms, and at least 64 KiB:
// one segmentation-offloaded packet must fit. InvalidArgument names the
// annotation.
absl::StatusOr<BandwidthLimits> BandwidthOf(
    const std::map<std::string, std::string>& annotations);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_BANDWIDTH_H_
