#ifndef DAVIT_AGENT_POD_APP_PLAN_H_
#define DAVIT_AGENT_POD_APP_PLAN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/pod/pod.h"
#include "runtime/app/app.h"
#include "runtime/image/image_store.h"
#include "runtime/rootfs/resolve.h"

// From what was asked for and what the image says to what runs, by the rules of
// Kubernetes (Pod v1 "Container") and the OCI image configuration. Pure.

namespace davit {

// An app before its words are looked up in its root file system.
struct AppPlan {
  // argv[0] is the command as it was written; uid, gid and HOME are missing.
  AppSpec spec;
  std::string path_variable;  // $PATH of the app
  // "", "name", "uid", "name:group", …: for ResolveUser.
  std::string user;
  bool run_as_non_root = false;
};

// `index` is the container's place in the spec, for messages.
//  - `command` replaces the image's entrypoint and drops its cmd; `args` alone
//    replaces cmd. FailedPrecondition if neither side names a command.
//  - Environment: default PATH, HOSTNAME, the image's, then the container's, of
//    which later ones may use earlier ones by $(NAME). `command` and `args`
//    may use the container's.
//  - User: run_as_user and run_as_group win over the image's.
absl::StatusOr<AppPlan> PlanApp(const PodSpec& pod, size_t index,
                                const Image& image);

// Completes the plan by what was found in the app's root. FailedPrecondition if
// it must not run as root and would.
absl::StatusOr<AppSpec> ResolveApp(const AppPlan& plan,
                                   const std::string& command,
                                   const ResolvedUser& user);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_APP_PLAN_H_
