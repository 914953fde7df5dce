#ifndef DAVIT_RUNTIME_APP_LOG_STREAMS_H_
#define DAVIT_RUNTIME_APP_LOG_STREAMS_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/app/pod_apps.h"

namespace davit {

// Whether the pod's journald has taken in all that an app wrote: no stream of
// its service is open any more, or the pod has ended. An app that has ended may
// have megabytes on their way; only with this, too, can a follower of its logs
// say that no more will come (`ended` of ReadLogs). By the files that journald
// keeps for its streams, /run/systemd/journal/streams in the pod.
absl::StatusOr<bool> LogsAreComplete(const PodRef& pod, const std::string& app);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LOG_STREAMS_H_
