#ifndef DAVIT_RUNTIME_APP_START_APPS_H_
#define DAVIT_RUNTIME_APP_START_APPS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/pod_bus.h"

namespace davit {

// PodApps::StartAll over an open connection. systemd's job ends when davit-app
// has been executed, which then still sets up the app's root; that it has
// become the app, or failed to, is told by a fifo whose writing end it closes
// that way.
absl::Status StartApps(PodBus& bus, const PodRef& pod,
                       const std::vector<std::string>& apps,
                       absl::Time deadline);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_START_APPS_H_
