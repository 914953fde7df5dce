#include "agent/pod/spec_needs.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/pod/run_plan.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<PodImages> HoldImages(PodContext& context, const Pod& pod) {
  PodImages images;
  std::string root = pod.root_image_id;
  if (root.empty()) root = pod.spec.root_image;
  if (root.empty()) root = context.options.stage1_image;
  ASSIGN_OR_RETURN(images.root, context.deps.images->Hold(root),
                   "spec.rootImage");
  for (size_t i = 0; i < pod.spec.containers.size(); ++i) {
    std::string image = pod.spec.containers[i].image;
    if (i < pod.status.apps.size() && !pod.status.apps[i].image_id.empty()) {
      image = pod.status.apps[i].image_id;
    }
    ASSIGN_OR_RETURN(std::unique_ptr<ImageHold> hold,
                     context.deps.images->Hold(image),
                     absl::StrCat("spec.containers[", i, "].image"));
    images.apps.push_back(std::move(hold));
  }
  return images;
}

absl::Status CheckNetworks(PodContext& context, const PodSpec& spec) {
  std::vector<NetworkAttachment> wanted = JoinedNetworks(spec);
  if (wanted.empty()) return absl::OkStatus();
  const char* field =
      spec.attachments.empty() ? "spec.networks" : "spec.networkAttachments";
  std::vector<NetworkInfo> known = context.deps.network->ListNetworks();
  for (const NetworkAttachment& one : wanted) {
    auto it = std::find_if(
        known.begin(), known.end(),
        [&](const NetworkInfo& info) { return info.name == one.name; });
    std::string context =
        absl::StrCat(field, ": network \"", one.name, "\" is ");
    if (it == known.end()) {
      std::vector<std::string> names;
      for (const NetworkInfo& info : known) names.push_back(info.name);
      return absl::NotFoundError(absl::StrCat(
          context, "not configured (there are: ", absl::StrJoin(names, ", "),
          ")"));
    }
    if (!it->error.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(context, "broken: ", it->error));
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
