#include "runtime/app/app_state.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/app/pod_tree.h"
#include "runtime/app/systemd_calls.h"
#include "runtime/app/unit_status.h"

namespace davit {
namespace {

constexpr size_t kMaxStartError = 1024;

}  // namespace

std::string ReadStartError(const PodRef& pod, const std::string& app) {
  absl::StatusOr<PodTree> root = PodTree::Open(pod);
  if (!root.ok()) return "";
  absl::StatusOr<std::string> text = root->ReadFile(
      absl::StrCat(kAppFilesInPod, "/", app, ".error"), kMaxStartError);
  if (!text.ok()) return "";
  for (char& c : *text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return *std::move(text);
}

absl::StatusOr<AppStatus> ReadAppStatus(PodBus& bus, const PodRef& pod,
                                        const std::string& app,
                                        absl::Time deadline) {
  absl::StatusOr<UnitProperties> unit =
      GetUnitProperties(bus, AppUnitName(app), deadline);
  if (absl::IsNotFound(unit.status())) {
    return absl::NotFoundError(
        absl::StrFormat("app \"%s\" does not exist in the pod", app));
  }
  if (!unit.ok()) return unit.status();
  return StatusOfUnit(*unit,
                      MayBeStartError(*unit) ? ReadStartError(pod, app) : "");
}

}  // namespace davit
