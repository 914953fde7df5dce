#include "runtime/app/unit_status.h"

#include <signal.h>
#include <string.h>

#include "absl/strings/str_cat.h"

namespace davit {
namespace {

absl::Time FromUsec(uint64_t usec) {
  return usec == 0 ? absl::InfinitePast()
                   : absl::FromUnixMicros(static_cast<int64_t>(usec));
}

bool HasEnded(const UnitProperties& unit) {
  return unit.exec_main_code != 0 && unit.main_pid == 0;
}

bool IsBetweenRuns(const UnitProperties& unit) {
  return unit.active_state == "activating" &&
         (unit.sub_state == "auto-restart" ||
          unit.sub_state == "auto-restart-queued");
}

bool IsOver(const UnitProperties& unit) {
  return unit.active_state == "inactive" || unit.active_state == "failed";
}

void SetLastRun(const UnitProperties& unit, AppStatus& status) {
  status.finished_at = FromUsec(unit.exec_main_exit_usec);
  if (unit.exec_main_code == CLD_EXITED) {
    status.exit_code = unit.exec_main_status;
    return;
  }
  status.signal = unit.exec_main_status;
  status.exit_code = 128 + unit.exec_main_status;
}

std::string DescribeEnd(const UnitProperties& unit, const AppStatus& status) {
  if (status.signal != 0) {
    const char* name = sigabbrev_np(status.signal);
    return absl::StrCat(
        "killed by ",
        name != nullptr ? absl::StrCat("SIG", name)
                        : absl::StrCat("signal ", status.signal),
        unit.exec_main_code == CLD_DUMPED ? ", core dumped" : "");
  }
  return absl::StrCat("exited with ", status.exit_code);
}

// Reason and message of a run that ended.
void ExplainEnd(const UnitProperties& unit, absl::string_view start_error,
                AppStatus& status) {
  if (MayBeStartError(unit) && !start_error.empty()) {
    status.reason = "StartError";
    status.message = std::string(start_error);
  } else if (unit.result == "oom-kill") {
    status.reason = "OOMKilled";
    status.message = "out of memory";
  } else if (status.exit_code == 0) {
    status.reason = "Completed";
  } else {
    status.reason = "Error";
    status.message = DescribeEnd(unit, status);
  }
}

}  // namespace

bool MayBeStartError(const UnitProperties& unit) {
  return HasEnded(unit) && unit.exec_main_code == CLD_EXITED &&
         unit.exec_main_status >= 125 && unit.exec_main_status <= 127;
}

AppStatus StatusOfUnit(const UnitProperties& unit,
                       absl::string_view start_error) {
  AppStatus status;
  status.restarts = static_cast<int>(unit.restarts);
  status.started_at = FromUsec(unit.exec_main_start_usec);
  status.main_pid = static_cast<pid_t>(unit.main_pid);
  if (HasEnded(unit)) SetLastRun(unit, status);
  if (IsBetweenRuns(unit)) {
    status.state = AppStatus::State::kWaiting;
    if (HasEnded(unit)) ExplainEnd(unit, start_error, status);
    // A start that failed is told as such; else what kubectl shows.
    if (status.reason != "StartError") status.reason = "CrashLoopBackOff";
    return status;
  }
  if (!IsOver(unit)) {
    bool starting = unit.active_state == "activating";
    status.state =
        starting ? AppStatus::State::kWaiting : AppStatus::State::kRunning;
    if (starting) status.reason = "ContainerCreating";
    return status;
  }
  if (HasEnded(unit)) {
    status.state = AppStatus::State::kTerminated;
    ExplainEnd(unit, start_error, status);
  } else if (unit.active_state == "failed") {
    status.state = AppStatus::State::kTerminated;
    status.reason = "StartError";
    status.message = absl::StrCat("its service failed: ", unit.result);
  } else {
    status.state = AppStatus::State::kWaiting;
    status.reason = "ContainerCreating";
  }
  return status;
}

}  // namespace davit
