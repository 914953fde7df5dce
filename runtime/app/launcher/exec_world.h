#ifndef DAVIT_RUNTIME_APP_LAUNCHER_EXEC_WORLD_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_EXEC_WORLD_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "runtime/app/launcher/exec_channel.h"

namespace davit {

// Moves the calling process to where an app runs: its cgroups, as far as the
// pod may write them, and its mount namespace. `main_pid` is the app's; that it
// is the app's, and is past its own set-up, is checked: FailedPrecondition.
absl::Status EnterAppWorld(const std::string& app, pid_t main_pid);

// A session of its own with the job's streams as 0, 1 and 2. A tty is reopened
// from the /dev/pts that is seen now, is given to `uid`, and becomes the
// controlling terminal.
absl::Status SetUpStreams(const ExecJob& job, uid_t uid);

// SIGKILL to every process of the session `leader`.
void KillSession(pid_t leader);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_EXEC_WORLD_H_
