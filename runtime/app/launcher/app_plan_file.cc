#include "runtime/app/launcher/app_plan_file.h"

#include "absl/strings/str_cat.h"
#include "runtime/app/plan_codec.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxPlan = 8 << 20;  // four times what execve(2) takes

}  // namespace

std::string AppFileInPod(const std::string& app, const std::string& suffix) {
  return absl::StrCat("/run/davit/apps/", app, suffix);
}

absl::StatusOr<AppSpec> ReadAppPlan(const std::string& app) {
  std::string path = AppFileInPod(app, ".plan");
  ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kMaxPlan));
  ASSIGN_OR_RETURN(AppSpec spec, DecodeAppPlan(bytes), path);
  if (spec.name != app) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is the plan of app \"", spec.name, "\""));
  }
  return spec;
}

}  // namespace davit
