#include "runtime/app/app.h"

#include "absl/strings/str_cat.h"
#include "runtime/app/plan_codec.h"
#include "runtime/app/unit_file.h"

namespace davit {
namespace {

constexpr char kUnitDirectory[] = "/run/systemd/system/";
constexpr char kPlanDirectory[] = "/run/davit/apps/";

}  // namespace

std::vector<PodFile> BuildAppFiles(const std::vector<AppSpec>& apps) {
  std::vector<PodFile> files;
  for (const AppSpec& app : apps) {
    files.push_back({.path = kUnitDirectory + AppUnitName(app.name),
                     .content = AppServiceText(app)});
    // The environment may hold secrets: for the pod's root only.
    files.push_back({.path = absl::StrCat(kPlanDirectory, app.name, ".plan"),
                     .content = EncodeAppPlan(app),
                     .mode = 0400});
  }
  files.push_back({.path = absl::StrCat(kUnitDirectory, kAppsTarget),
                   .content = AppsTargetText(apps)});
  return files;
}

}  // namespace davit
