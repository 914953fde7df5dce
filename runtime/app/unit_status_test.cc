#include "runtime/app/unit_status.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace davit {
namespace {

using State = AppStatus::State;

constexpr uint64_t kStart = 1'700'000'000'000'000;
constexpr uint64_t kExit = 1'700'000'005'000'000;

UnitProperties Unit(std::string active, std::string sub) {
  UnitProperties unit;
  unit.load_state = "loaded";
  unit.active_state = std::move(active);
  unit.sub_state = std::move(sub);
  unit.result = "success";
  return unit;
}

UnitProperties Ended(std::string active, std::string sub, std::string result,
                     int code, int status) {
  UnitProperties unit = Unit(std::move(active), std::move(sub));
  unit.result = std::move(result);
  unit.exec_main_code = code;
  unit.exec_main_status = status;
  unit.exec_main_start_usec = kStart;
  unit.exec_main_exit_usec = kExit;
  return unit;
}

struct Case {
  const char* what;
  UnitProperties unit;
  std::string start_error;
  State state;
  std::string reason;
  std::string message;
  int exit_code;
  int signal;
};

TEST(StatusOfUnitTest, Table) {
  UnitProperties running = Unit("active", "running");
  running.exec_main_start_usec = kStart;
  running.main_pid = 77;
  UnitProperties stopping = running;
  stopping.active_state = "deactivating";
  stopping.sub_state = "stop-sigterm";
  UnitProperties no_resources = Unit("failed", "failed");
  no_resources.result = "resources";
  const Case kCases[] = {
      {"not started", Unit("inactive", "dead"), "", State::kWaiting,
       "ContainerCreating", "", 0, 0},
      {"starting", Unit("activating", "start"), "", State::kWaiting,
       "ContainerCreating", "", 0, 0},
      {"running", running, "", State::kRunning, "", "", 0, 0},
      {"being stopped", stopping, "", State::kRunning, "", "", 0, 0},
      {"exit 0", Ended("inactive", "dead", "success", CLD_EXITED, 0), "",
       State::kTerminated, "Completed", "", 0, 0},
      {"exit 3", Ended("failed", "failed", "exit-code", CLD_EXITED, 3), "",
       State::kTerminated, "Error", "exited with 3", 3, 0},
      {"SIGKILL", Ended("failed", "failed", "signal", CLD_KILLED, SIGKILL), "",
       State::kTerminated, "Error", "killed by SIGKILL", 137, SIGKILL},
      {"SIGTERM, a clean end to systemd",
       Ended("inactive", "dead", "success", CLD_KILLED, SIGTERM), "",
       State::kTerminated, "Error", "killed by SIGTERM", 143, SIGTERM},
      {"core dump", Ended("failed", "failed", "core-dump", CLD_DUMPED, SIGSEGV),
       "", State::kTerminated, "Error", "killed by SIGSEGV, core dumped", 139,
       SIGSEGV},
      {"real-time signal", Ended("failed", "failed", "signal", CLD_KILLED, 40),
       "", State::kTerminated, "Error", "killed by signal 40", 168, 40},
      {"out of memory",
       Ended("failed", "failed", "oom-kill", CLD_KILLED, SIGKILL), "",
       State::kTerminated, "OOMKilled", "out of memory", 137, SIGKILL},
      {"start error", Ended("failed", "failed", "exit-code", CLD_EXITED, 127),
       "execve(/nope)", State::kTerminated, "StartError", "execve(/nope)", 127,
       0},
      {"its own 127", Ended("failed", "failed", "exit-code", CLD_EXITED, 127),
       "", State::kTerminated, "Error", "exited with 127", 127, 0},
      {"an old start error",
       Ended("failed", "failed", "exit-code", CLD_EXITED, 1), "execve(/nope)",
       State::kTerminated, "Error", "exited with 1", 1, 0},
      {"between runs",
       Ended("activating", "auto-restart", "exit-code", CLD_EXITED, 4), "",
       State::kWaiting, "CrashLoopBackOff", "exited with 4", 4, 0},
      {"between runs, clean",
       Ended("activating", "auto-restart", "success", CLD_EXITED, 0), "",
       State::kWaiting, "CrashLoopBackOff", "", 0, 0},
      {"between failed starts",
       Ended("activating", "auto-restart", "exit-code", CLD_EXITED, 126),
       "execve(/etc)", State::kWaiting, "StartError", "execve(/etc)", 126, 0},
      {"never executed", no_resources, "", State::kTerminated, "StartError",
       "its service failed: resources", 0, 0},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    AppStatus status = StatusOfUnit(c.unit, c.start_error);
    EXPECT_EQ(status.state, c.state);
    EXPECT_EQ(status.reason, c.reason);
    EXPECT_EQ(status.message, c.message);
    EXPECT_EQ(status.exit_code, c.exit_code);
    EXPECT_EQ(status.signal, c.signal);
    EXPECT_EQ(status.finished_at, c.unit.exec_main_exit_usec == 0
                                      ? absl::InfinitePast()
                                      : absl::FromUnixMicros(kExit));
    EXPECT_EQ(status.main_pid, static_cast<pid_t>(c.unit.main_pid));
  }
}

TEST(StatusOfUnitTest, TimesAndCounts) {
  UnitProperties unit = Unit("active", "running");
  unit.exec_main_start_usec = kStart;
  unit.main_pid = 9;
  unit.restarts = 12;
  AppStatus status = StatusOfUnit(unit, "");
  EXPECT_EQ(status.started_at, absl::FromUnixMicros(kStart));
  EXPECT_EQ(status.finished_at, absl::InfinitePast());
  EXPECT_EQ(status.restarts, 12);
}

TEST(MayBeStartErrorTest, OnlyTheLaunchersExitCodes) {
  for (int code : {125, 126, 127}) {
    EXPECT_TRUE(MayBeStartError(
        Ended("failed", "failed", "exit-code", CLD_EXITED, code)));
  }
  EXPECT_FALSE(
      MayBeStartError(Ended("failed", "failed", "exit-code", CLD_EXITED, 124)));
  EXPECT_FALSE(
      MayBeStartError(Ended("failed", "failed", "signal", CLD_KILLED, 126)));
}

}  // namespace
}  // namespace davit
