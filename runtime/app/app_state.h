#ifndef DAVIT_RUNTIME_APP_APP_STATE_H_
#define DAVIT_RUNTIME_APP_APP_STATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/app.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/pod_bus.h"

namespace davit {

// Where the files of apps are in a pod.
inline constexpr char kAppFilesInPod[] = "/run/davit/apps";

// What davit-app wrote when it could not become the app; "" if nothing. One
// bounded line of printable ASCII, whatever the pod put there.
std::string ReadStartError(const PodRef& pod, const std::string& app);

// The status of an app from its unit and, if need be, its start error.
// NotFound: `app "x" does not exist`.
absl::StatusOr<AppStatus> ReadAppStatus(PodBus& bus, const PodRef& pod,
                                        const std::string& app,
                                        absl::Time deadline);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_APP_STATE_H_
