#include "net/plugins/pod_ends.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "net/plugins/pod_netns.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<PodEnds> OpenPodEnds(const std::string& netns_path) {
  ASSIGN_OR_RETURN(UniqueFd pod_netns, OpenPodNetns(netns_path));
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(pod_netns.get()));
  return PodEnds{std::move(pod_netns), std::move(node), std::move(pod)};
}

absl::Status CheckNameIsFree(Netlink& pod, const PluginRequest& request) {
  absl::Status status = pod.GetLink(request.ifname).status();
  if (absl::IsNotFound(status)) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return absl::AlreadyExistsError(
      absl::StrFormat("interface \"%s\" already exists in netns \"%s\"",
                      request.ifname, request.netns));
}

}  // namespace davit
