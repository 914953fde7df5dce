#include "agent/pod/app_state.h"

#include <gtest/gtest.h>

#include <vector>

namespace davit {
namespace {

AppStatus Status(AppStatus::State state, int code = 0, int finished = 0) {
  AppStatus status;
  status.state = state;
  status.exit_code = code;
  status.started_at = absl::FromUnixSeconds(100);
  if (finished != 0) status.finished_at = absl::FromUnixSeconds(finished);
  return status;
}

constexpr auto kWaiting = AppStatus::State::kWaiting;
constexpr auto kRunning = AppStatus::State::kRunning;
constexpr auto kTerminated = AppStatus::State::kTerminated;

TEST(MergeAppStatusTest, AnEndIsNewsOnce) {
  AppState app;
  EXPECT_FALSE(MergeAppStatus(Status(kRunning), app));
  EXPECT_TRUE(app.started);
  EXPECT_TRUE(MergeAppStatus(Status(kTerminated, 3, 200), app));
  EXPECT_FALSE(MergeAppStatus(Status(kTerminated, 3, 200), app));
  EXPECT_EQ(app.status.exit_code, 3);
}

TEST(MergeAppStatusTest, WaitingBetweenRunsKeepsTheLast) {
  AppState app;
  AppStatus waiting = Status(kWaiting, 3, 200);
  waiting.reason = "CrashLoopBackOff";
  EXPECT_TRUE(MergeAppStatus(waiting, app));
  EXPECT_EQ(app.last.state, kTerminated);
  EXPECT_EQ(app.last.exit_code, 3);
  EXPECT_EQ(app.last.reason, "Error");
  EXPECT_FALSE(MergeAppStatus(Status(kRunning), app));
  EXPECT_EQ(app.last.exit_code, 3);
  waiting = Status(kWaiting, 127, 300);
  waiting.reason = "StartError";
  EXPECT_TRUE(MergeAppStatus(waiting, app));
  EXPECT_EQ(app.last.reason, "StartError");
}

TEST(MergeAppStatusTest, AMissedWaitIsSeenInTheNextRun) {
  AppState app;
  MergeAppStatus(Status(kRunning), app);
  AppStatus again = Status(kRunning, 5, 200);
  again.started_at = absl::FromUnixSeconds(201);
  again.restarts = 1;
  EXPECT_TRUE(MergeAppStatus(again, app));
  EXPECT_EQ(app.last.exit_code, 5);
  EXPECT_EQ(app.last.started_at, absl::FromUnixSeconds(100));
  EXPECT_EQ(app.last.finished_at, absl::FromUnixSeconds(200));
}

TEST(MergeAppStatusTest, AStartThatFailedIsNoSuccess) {
  AppState app;
  AppStatus status;
  status.state = kTerminated;
  status.reason = "StartError";
  MergeAppStatus(status, app);
  EXPECT_EQ(app.status.exit_code, 128);
  EXPECT_FALSE(app.started);
}

TEST(AllAppsDoneTest, OnlyIfThereAreAppsAndAllAre) {
  EXPECT_FALSE(AllAppsDone({}));
  AppState done, runs;
  done.status.state = kTerminated;
  runs.status.state = kRunning;
  EXPECT_TRUE(AllAppsDone({done, done}));
  EXPECT_FALSE(AllAppsDone({done, runs}));
  runs.status.state = kWaiting;
  EXPECT_FALSE(AllAppsDone({done, runs}));
}

TEST(MarkUnseenEndsTest, KnownEndsStay) {
  std::vector<AppState> apps(3);
  apps[0].status = Status(kTerminated, 0, 200);
  apps[1].status = Status(kRunning);
  apps[2].status = Status(kWaiting, 3, 200);
  apps[2].status.restarts = 4;
  apps[2].last = Status(kTerminated, 3, 200);
  MarkUnseenEnds(absl::FromUnixSeconds(300), apps);
  EXPECT_EQ(apps[0].status.exit_code, 0);
  EXPECT_EQ(apps[1].status.state, kTerminated);
  EXPECT_EQ(apps[1].status.exit_code, 137);
  EXPECT_EQ(apps[1].status.reason, "ContainerStatusUnknown");
  EXPECT_EQ(apps[1].status.finished_at, absl::FromUnixSeconds(300));
  EXPECT_EQ(apps[2].status.state, kTerminated);
  EXPECT_EQ(apps[2].status.exit_code, 3);
  EXPECT_EQ(apps[2].status.restarts, 4);
}

TEST(EndReasonTest, Table) {
  PodStatus status;
  EXPECT_EQ(EndReason(status), "Unknown");
  status.exit = PodExit{.kind = PodExit::Kind::kPowerOff};
  EXPECT_EQ(EndReason(status), "Completed");
  status.exit = PodExit{.kind = PodExit::Kind::kExited, .code = 1};
  EXPECT_EQ(EndReason(status), "Error");
  status.exit = PodExit{.kind = PodExit::Kind::kSignaled, .oom_killed = true};
  EXPECT_EQ(EndReason(status), "OOMKilled");

  AppState app;
  app.status.state = kTerminated;
  status.apps = {app, app};
  EXPECT_EQ(EndReason(status), "Completed") << "the apps count, not PID 1";
  status.exit->oom_killed = false;
  status.apps[1].status.exit_code = 2;
  EXPECT_EQ(EndReason(status), "Error");
  status.apps[1].status.reason = "OOMKilled";
  EXPECT_EQ(EndReason(status), "OOMKilled");
}

}  // namespace
}  // namespace davit
