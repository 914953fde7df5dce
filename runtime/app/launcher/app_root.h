#ifndef DAVIT_RUNTIME_APP_LAUNCHER_APP_ROOT_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_APP_ROOT_H_

#include "absl/status/status.h"
#include "runtime/app/app.h"

namespace davit {

// Gives the calling process, which is single-threaded, a mount namespace of its
// own in which "/" is the app's root (rkt's prepare-app and OCI's default
// mounts):
//   /proc      the pod's, its dangerous files masked or read-only
//   /sys       the pod's, read-only
//   /dev       a private tmpfs with the harmless devices; pts and shm are the
//              pod's, mqueue that of its IPC namespace
//   /etc/{resolv.conf,hosts,hostname}  the pod's, read-only
// A privileged app sees /proc and /sys as the pod does. The working directory
// is made if it is missing. On error the process is of no more use.
absl::Status EnterAppRoot(const AppSpec& app);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_APP_ROOT_H_
