#ifndef DAVIT_RUNTIME_APP_LAUNCHER_RESTRICTIONS_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_RESTRICTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/app/app.h"

namespace davit {

// Signals as a fresh process has them (systemd ignores SIGPIPE) and umask 022.
absl::Status ResetProcess();

// The calling process's bounding set: what the pod has at most.
uint64_t BoundingSet();

// Makes the calling process, single-threaded and root of the pod, what the
// app's plan says: capabilities, seccomp filter, ids, no_new_privs. Both the
// app and every command that is exec'ed beside it go through here. Never gives
// more than the process has.
absl::Status ApplyRestrictions(const AppSpec& app);

// Sets HOME to what /etc/passwd of the current root says of `uid`, unless `env`
// has it; "/" if nothing is said.
void AddHome(unsigned uid, std::vector<std::string>& env);

// The value of `name` in an environment of "K=V", the last one; "" if none.
std::string EnvironmentValue(const std::vector<std::string>& env,
                             absl::string_view name);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_RESTRICTIONS_H_
