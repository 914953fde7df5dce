#ifndef DAVIT_RUNTIME_APP_LAUNCHER_APP_PLAN_FILE_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_APP_PLAN_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/app/app.h"

namespace davit {

// "/run/davit/apps/web" + suffix, in the pod.
std::string AppFileInPod(const std::string& app, const std::string& suffix);

// Reads /run/davit/apps/<app>.plan of the current root.
absl::StatusOr<AppSpec> ReadAppPlan(const std::string& app);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_APP_PLAN_FILE_H_
