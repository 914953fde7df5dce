#ifndef DAVIT_NET_PLUGINS_POD_ENDS_H_
#define DAVIT_NET_PLUGINS_POD_ENDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/plugins/plugin.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// The two namespaces that one call of an interface plugin works in, with a
// socket in each. One thread at a time.
struct PodEnds {
  UniqueFd pod_netns;
  Netlink node;  // the caller's namespace
  Netlink pod;
};

// NotFound if there is no network namespace at the path; see OpenPodNetns.
absl::StatusOr<PodEnds> OpenPodEnds(const std::string& netns_path);

// AlreadyExists if the pod has an interface of the requested name.
absl::Status CheckNameIsFree(Netlink& pod, const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_POD_ENDS_H_
