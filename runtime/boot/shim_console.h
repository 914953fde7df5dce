#ifndef DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/exec.h"

namespace davit {

// Connects to the console of a pod's PID 1, which the shim of this socket
// holds; see PodProcess::AttachConsole. FailedPrecondition if the shim is of an
// agent that knew no such connections; Unavailable or NotFound if none answers.
absl::StatusOr<std::unique_ptr<ExecSession>> ConnectToConsole(
    const std::string& shim_socket, bool typing, absl::Duration timeout);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_H_
