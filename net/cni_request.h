#ifndef DAVIT_NET_CNI_REQUEST_H_
#define DAVIT_NET_CNI_REQUEST_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/cni/attachment.h"
#include "net/cni/network_config.h"
#include "net/pod_network.h"

namespace davit {

// How requests of pod_network.h are said in CNI's words. Pure functions.

// InvalidArgument naming the field: names that are none, two networks under one
// ifname, values that cannot be.
absl::Status ValidatePodNetworkRequest(const PodNetworkRequest& request);

// The parameters of the plugin calls for request.networks[index], which is
// `network`; CNI_ARGS as Kubernetes' runtimes give them, and the values of the
// capabilities. FailedPrecondition if something is asked for by a capability
// that no plugin of the network declares. The request must be valid.
absl::StatusOr<CniAttachment> CniAttachmentFor(const PodNetworkRequest& request,
                                               size_t index,
                                               const CniNetworkConfig& network);

// Without capabilities: for DEL, when nothing is known of the ADD.
CniAttachment BareCniAttachmentFor(const PodNetworkRequest& request,
                                   size_t index);

// FailedPrecondition if `join` asked for an address, a MAC or a host interface
// that `got` does not show.
absl::Status ExpectWhatWasAskedFor(const NetworkRequest& join,
                                   const InterfaceStatus& got);

}  // namespace davit

#endif  // DAVIT_NET_CNI_REQUEST_H_
