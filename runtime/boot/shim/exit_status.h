#ifndef DAVIT_RUNTIME_BOOT_SHIM_EXIT_STATUS_H_
#define DAVIT_RUNTIME_BOOT_SHIM_EXIT_STATUS_H_

#include "runtime/boot/launcher.h"

namespace davit {

// How a pod ended, by the wait status (wait(2)) of its PID 1. reboot(2) in a
// PID namespace kills its init: by SIGHUP for a restart, by SIGINT for halt and
// power-off (pid_namespaces(7)). Sets kind, code and signal.
PodExit ExitOfWaitStatus(int wait_status);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_EXIT_STATUS_H_
