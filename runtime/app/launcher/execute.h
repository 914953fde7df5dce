#ifndef DAVIT_RUNTIME_APP_LAUNCHER_EXECUTE_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_EXECUTE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace davit {

// execve(2) of argv[0] as a path; returns only on failure: "execve(/x): …",
// NotFound if the file or its interpreter is missing, PermissionDenied if it is
// no program or must not be executed.
absl::Status Execute(const std::vector<std::string>& argv,
                     const std::vector<std::string>& env);

// The same with another argv[0].
absl::Status ExecuteAs(const std::string& path,
                       const std::vector<std::string>& argv,
                       const std::vector<std::string>& env);

// As Execute, but a name without a slash is looked up in the PATH of `env` as
// execvp(3) does, after all restrictions: what the user may not search is not
// found.
absl::Status ExecuteInPath(const std::vector<std::string>& argv,
                           const std::vector<std::string>& env);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_EXECUTE_H_
