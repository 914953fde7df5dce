#include "agent/pod/pod_state.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "agent/pod/pod.h"

namespace davit {
namespace {

constexpr PodState kAll[] = {
    PodState::kCreated,  PodState::kStarting, PodState::kRunning,
    PodState::kStopping, PodState::kExited,   PodState::kFailed,
    PodState::kRemoving,
};

TEST(PodStateTest, WaysAreThoseOfTheApiAndNoOther) {
  const std::set<std::pair<std::string, std::string>> ways = {
      {"Created", "Starting"},  {"Created", "Removing"},
      {"Starting", "Running"},  {"Starting", "Failed"},
      {"Starting", "Removing"}, {"Running", "Stopping"},
      {"Running", "Exited"},    {"Running", "Removing"},
      {"Stopping", "Exited"},   {"Stopping", "Removing"},
      {"Exited", "Starting"},   {"Exited", "Removing"},
      {"Failed", "Starting"},   {"Failed", "Removing"},
  };
  for (PodState from : kAll) {
    for (PodState to : kAll) {
      EXPECT_EQ(CanTransition(from, to),
                ways.count({PodStateName(from), PodStateName(to)}) > 0)
          << PodStateName(from) << " to " << PodStateName(to);
    }
  }
}

TEST(PodStateTest, ProcessesExistOnlyBetweenStartAndExit) {
  for (PodState state : kAll) {
    bool expected = state == PodState::kStarting ||
                    state == PodState::kRunning || state == PodState::kStopping;
    EXPECT_EQ(MayHaveProcesses(state), expected) << PodStateName(state);
  }
}

TEST(PodStateTest, IntentNames) {
  EXPECT_STREQ(IntentKindName(IntentKind::kOverlay), "overlay");
  EXPECT_STREQ(IntentKindName(IntentKind::kNetns), "netns");
  EXPECT_STREQ(IntentKindName(IntentKind::kNetwork), "network");
  EXPECT_STREQ(IntentKindName(IntentKind::kBoot), "boot");
}

Pod InState(PodState state) {
  Pod pod;
  pod.status.state = state;
  return pod;
}

TEST(PodPhaseTest, BeforeTheEnd) {
  EXPECT_EQ(PodPhase(InState(PodState::kCreated)), "Pending");
  EXPECT_EQ(PodPhase(InState(PodState::kStarting)), "Pending");
  EXPECT_EQ(PodPhase(InState(PodState::kRunning)), "Running");
  EXPECT_EQ(PodPhase(InState(PodState::kStopping)), "Running");
  EXPECT_EQ(PodPhase(InState(PodState::kFailed)), "Failed");
}

Pod Ended(std::initializer_list<int> codes) {
  Pod pod = InState(PodState::kExited);
  pod.status.exit = PodExit{.kind = PodExit::Kind::kPowerOff};
  for (int code : codes) {
    AppState app;
    app.status.state = AppStatus::State::kTerminated;
    app.status.exit_code = code;
    pod.status.apps.push_back(app);
  }
  return pod;
}

TEST(PodPhaseTest, AppsDecide) {
  EXPECT_EQ(PodPhase(Ended({0})), "Succeeded");
  EXPECT_EQ(PodPhase(Ended({0, 0})), "Succeeded");
  EXPECT_EQ(PodPhase(Ended({0, 3})), "Failed");
  Pod pod = Ended({0});
  pod.status.apps[0].status.state = AppStatus::State::kWaiting;
  EXPECT_EQ(PodPhase(pod), "Failed");
}

TEST(PodPhaseTest, MachinesByTheirExit) {
  using Kind = PodExit::Kind;
  const struct {
    PodExit exit;
    const char* phase;
  } cases[] = {
      {{.kind = Kind::kPowerOff}, "Succeeded"},
      {{.kind = Kind::kReboot}, "Succeeded"},
      {{.kind = Kind::kExited, .code = 0}, "Succeeded"},
      {{.kind = Kind::kExited, .code = 7}, "Failed"},
      {{.kind = Kind::kSignaled, .signal = 9}, "Failed"},
      {{.kind = Kind::kUnknown}, "Unknown"},
  };
  for (const auto& c : cases) {
    Pod pod = InState(PodState::kExited);
    pod.status.exit = c.exit;
    EXPECT_EQ(PodPhase(pod), c.phase) << static_cast<int>(c.exit.kind);
  }
}

TEST(PodPhaseTest, RemovingKeepsWhatWas) {
  Pod never = InState(PodState::kRemoving);
  EXPECT_EQ(PodPhase(never), "Pending");
  Pod ended = Ended({0});
  ended.status.state = PodState::kRemoving;
  ended.status.started_at = absl::FromUnixSeconds(1);
  ended.status.finished_at = absl::FromUnixSeconds(2);
  EXPECT_EQ(PodPhase(ended), "Succeeded");
}

}  // namespace
}  // namespace davit
