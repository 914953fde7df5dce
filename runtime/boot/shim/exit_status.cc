#include "runtime/boot/shim/exit_status.h"

#include <signal.h>
#include <sys/wait.h>

namespace davit {

PodExit ExitOfWaitStatus(int wait_status) {
  PodExit exit;
  if (WIFEXITED(wait_status)) {
    exit.kind = PodExit::Kind::kExited;
    exit.code = WEXITSTATUS(wait_status);
    return exit;
  }
  int signal = WTERMSIG(wait_status);
  switch (signal) {
    case SIGINT:
      exit.kind = PodExit::Kind::kPowerOff;
      return exit;
    case SIGHUP:
      exit.kind = PodExit::Kind::kReboot;
      return exit;
    default:
      exit.kind = PodExit::Kind::kSignaled;
      exit.signal = signal;
      return exit;
  }
}

}  // namespace davit
