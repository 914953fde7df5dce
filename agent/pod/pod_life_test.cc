// What happens to pods without a request: their ends, reboots, finished apps;
// and what happens at the same time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/pod/testing/fake_world.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakeWorld;
using ::davit::testing::IsOk;
using ::davit::testing::ScriptedApps;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr absl::Duration kNow = absl::ZeroDuration();
constexpr absl::Duration kLong = absl::Minutes(1);

class PodLifeTest : public ::testing::Test {
 protected:
  FakeWorld world_;
  PodManager& manager() { return world_.manager(); }

  bool OnDisk(PodState state) {
    return world_.WaitFor([&] {
      std::vector<Pod> pods = world_.store.pods();
      return pods.size() == 1 && pods[0].status.state == state;
    });
  }
};

PodExit Exit(PodExit::Kind kind, int code = 0, int signal = 0) {
  return {.kind = kind,
          .code = code,
          .signal = signal,
          .at = absl::FromUnixSeconds(3000)};
}

// --- Ends ---

TEST_F(PodLifeTest, MachineThatEndsIsCleanedUp) {
  const struct {
    PodExit exit;
    const char* reason;
    const char* message;
    const char* phase;
  } cases[] = {
      {Exit(PodExit::Kind::kPowerOff), "Completed", "powered off", "Succeeded"},
      {Exit(PodExit::Kind::kExited, 42), "Error", "exited with 42", "Failed"},
      {Exit(PodExit::Kind::kSignaled, 0, 9), "Error", "killed by signal 9",
       "Failed"},
      {Exit(PodExit::Kind::kUnknown), "Unknown", "ended while nobody watched",
       "Unknown"},
  };
  int number = 0;
  for (const auto& c : cases) {
    std::string name = absl::StrCat("box", number++);
    ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec(name, 0)));
    world_.launcher.End(pod.id, c.exit);
    ASSERT_TRUE(world_.WaitForState(name, PodState::kExited)) << c.reason;
    pod = manager().Get(name).value();
    EXPECT_EQ(pod.status.reason, c.reason);
    EXPECT_EQ(pod.status.message, c.message);
    EXPECT_EQ(PodPhase(pod), c.phase);
    EXPECT_EQ(pod.status.finished_at, absl::FromUnixSeconds(3000));
    EXPECT_THAT(world_.Leftovers(), IsEmpty());
  }
}

TEST_F(PodLifeTest, AStopFreesTheNetworkOnceItsSystemdHasHungUp) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.launcher.HoldEnds();
  world_.apps.ShutDownAs(absl::OkStatus());
  absl::Status stopped;
  std::thread stopper([&] { stopped = manager().Stop("web", kLong).status(); });
  EXPECT_TRUE(world_.journal.WaitFor("rm_netns", 1));
  EXPECT_THAT(world_.journal.lines(),
              AllOf(Not(Contains("destroy")), Not(Contains("unmount"))));
  world_.launcher.End(pod.id, Exit(PodExit::Kind::kPowerOff));
  stopper.join();
  EXPECT_THAT(stopped, IsOk());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodLifeTest, OtherwiseTheNetworkWaitsForTheProcesses) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.launcher.HoldEnds();
  absl::Status stopped;
  std::thread stopper([&] { stopped = manager().Stop("web", kLong).status(); });
  EXPECT_TRUE(world_.journal.WaitFor("unwatch", 1));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("detach")));
  world_.launcher.End(pod.id, Exit(PodExit::Kind::kPowerOff));
  stopper.join();
  EXPECT_THAT(stopped, IsOk());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodLifeTest, AppsOfADeadPodAreNotRunning) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.journal.Clear();
  world_.launcher.End(pod.id, Exit(PodExit::Kind::kSignaled, 0, 9));
  ASSERT_TRUE(OnDisk(PodState::kExited));
  world_.ExpectUndone({"unwatch", "destroy"});
  AppStatus app = world_.store.pods()[0].status.apps[0].status;
  EXPECT_EQ(app.state, AppStatus::State::kTerminated);
  EXPECT_EQ(app.exit_code, 137);
  EXPECT_EQ(app.reason, "ContainerStatusUnknown");
}

TEST_F(PodLifeTest, EndDuringTheStartFailsTheStart) {
  world_.launcher.HoldReady();
  absl::StatusOr<Pod> pod;
  std::thread runner([&] { pod = manager().Run(FakeWorld::Spec("web")); });
  ASSERT_TRUE(world_.journal.WaitFor("wait_ready", 1));
  world_.launcher.End(manager().Get("web")->id,
                      Exit(PodExit::Kind::kExited, 1));
  runner.join();
  EXPECT_THAT(pod, StatusIs(absl::StatusCode::kFailedPrecondition,
                            HasSubstr("wait for the pod's systemd: it ended")));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

// --- Apps ---

TEST_F(PodLifeTest, PodEndsWithItsLastApp) {
  const struct {
    int first, second;
    const char* reason;
    const char* phase;
  } cases[] = {
      {0, 0, "Completed", "Succeeded"},
      {0, 3, "Error", "Failed"},
  };
  int number = 0;
  for (const auto& c : cases) {
    std::string name = absl::StrCat("job", number++);
    PodSpec spec = FakeWorld::Spec(name, 2);
    spec.restart_policy = RestartPolicy::kNever;
    ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
    world_.apps.Change(pod.id, "app0", ScriptedApps::Ended(c.first));
    ASSERT_TRUE(world_.WaitFor([&] {
      return manager().Get(name)->status.apps[0].status.state ==
             AppStatus::State::kTerminated;
    }));
    EXPECT_EQ(manager().Get(name)->status.state, PodState::kRunning);
    world_.apps.Change(pod.id, "app1", ScriptedApps::Ended(c.second));
    ASSERT_TRUE(world_.WaitForState(name, PodState::kExited));
    pod = manager().Get(name).value();
    EXPECT_EQ(pod.status.reason, c.reason);
    EXPECT_EQ(PodPhase(pod), c.phase);
    EXPECT_EQ(pod.status.apps[1].status.exit_code, c.second);
    EXPECT_THAT(world_.Leftovers(), IsEmpty());
  }
}

TEST_F(PodLifeTest, AppsThatEndAtOnceEndThePod) {
  world_.apps.StartAs(ScriptedApps::Ended(0));
  ASSERT_THAT(manager().Run(FakeWorld::Spec("job")), IsOk());
  EXPECT_TRUE(world_.WaitForState("job", PodState::kExited));
  EXPECT_EQ(PodPhase(*manager().Get("job")), "Succeeded");
}

TEST_F(PodLifeTest, EndOfAnAppIsOnDiskAtOnce) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web", 2)));
  world_.apps.Change(pod.id, "app1", ScriptedApps::Ended(5));
  EXPECT_TRUE(world_.WaitFor([&] {
    return world_.store.pods()[0].status.apps[1].status.exit_code == 5;
  }));
  EXPECT_EQ(world_.store.pods()[0].status.state, PodState::kRunning);
}

TEST_F(PodLifeTest, RestartedAppKeepsItsLastRun) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  AppStatus waiting = ScriptedApps::Ended(3);
  waiting.state = AppStatus::State::kWaiting;
  waiting.reason = "CrashLoopBackOff";
  world_.apps.Change(pod.id, "app0", waiting);
  AppStatus running = ScriptedApps::Running();
  running.started_at = absl::FromUnixSeconds(2001);
  running.restarts = 1;
  world_.apps.Change(pod.id, "app0", running);
  ASSERT_TRUE(world_.WaitFor([&] {
    return manager().Get("web")->status.apps[0].status.restarts == 1;
  }));
  AppState app = manager().Get("web")->status.apps[0];
  EXPECT_EQ(app.status.state, AppStatus::State::kRunning);
  EXPECT_EQ(app.last.exit_code, 3);
  EXPECT_EQ(app.last.reason, "Error");
  EXPECT_EQ(app.last.finished_at, absl::FromUnixSeconds(2000));
  EXPECT_EQ(manager().Get("web")->status.state, PodState::kRunning);
}

TEST_F(PodLifeTest, ManyNewsKeepTheirOrder) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  AppStatus running = ScriptedApps::Running();
  for (int i = 1; i <= 500; ++i) {
    running.restarts = i;
    world_.apps.Change(pod.id, "app0", running);
  }
  int last = 0;
  ASSERT_TRUE(world_.WaitFor([&] {
    int now = manager().Get("web")->status.apps[0].status.restarts;
    EXPECT_GE(now, last);
    last = now;
    return now == 500;
  }));
}

// --- Reboots ---

TEST_F(PodLifeTest, RebootStartsTheSamePodAgain) {
  ASSERT_OK_AND_ASSIGN(Pod first, manager().Run(FakeWorld::Spec("box", 0)));
  world_.launcher.End(first.id, Exit(PodExit::Kind::kReboot));
  ASSERT_TRUE(world_.journal.WaitFor("boot", 2));
  ASSERT_TRUE(world_.WaitForState("box", PodState::kRunning));
  Pod second = manager().Get("box").value();
  EXPECT_EQ(second.id, first.id);
  EXPECT_NE(second.status.init.pid, first.status.init.pid);
  EXPECT_TRUE(world_.launcher.IsAlive(first.id));
}

// A shutdown ends the apps first, and their end must not be taken for the
// pod's completion.
TEST_F(PodLifeTest, RebootOfAPodWithAppsIsNoCompletion) {
  const absl::StatusOr<std::string> states[] = {
      std::string("stopping"), absl::UnavailableError("connection is closed")};
  int boots = 0;
  for (const auto& state : states) {
    std::string name = absl::StrCat("web", boots);
    ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec(name)));
    ++boots;
    world_.journal.Clear();
    world_.apps.SetSystemState(state);
    world_.apps.Change(pod.id, "app0", ScriptedApps::Ended(143));
    ASSERT_TRUE(world_.WaitFor([&] {
      return manager().Get(name)->status.apps[0].status.exit_code == 143;
    }));
    world_.launcher.End(pod.id, Exit(PodExit::Kind::kReboot));
    ASSERT_TRUE(world_.journal.WaitFor("boot", ++boots));
    ASSERT_TRUE(world_.WaitForState(name, PodState::kRunning));
    EXPECT_THAT(world_.journal.lines(), Not(Contains(HasSubstr("stop"))));
    world_.apps.SetSystemState(std::string("running"));
  }
}

TEST_F(PodLifeTest, NeverIsNotStartedAgain) {
  PodSpec spec = FakeWorld::Spec("box", 0);
  spec.restart_policy = RestartPolicy::kNever;
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  world_.launcher.End(pod.id, Exit(PodExit::Kind::kReboot));
  ASSERT_TRUE(OnDisk(PodState::kExited));
  EXPECT_EQ(manager().Get("box")->status.reason, "Completed");
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodLifeTest, StopBeatsAPendingRestart) {
  world_.options.quick_reboot = absl::Hours(24 * 365 * 100);
  world_.Restart();
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("box", 0)));
  PodExit reboot = Exit(PodExit::Kind::kReboot);
  world_.launcher.End(pod.id, reboot);
  ASSERT_TRUE(world_.journal.WaitFor("boot", 2));  // at once the first time
  ASSERT_TRUE(world_.WaitForState("box", PodState::kRunning));
  world_.launcher.End(pod.id, reboot);  // now it is held back for a second
  ASSERT_TRUE(OnDisk(PodState::kExited));
  EXPECT_EQ(world_.store.pods()[0].status.reason, "Rebooting");
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("box", kNow));
  EXPECT_EQ(pod.status.reason, "Stopped");
  absl::SleepFor(absl::Milliseconds(1200));
  EXPECT_EQ(manager().Get("box")->status.state, PodState::kExited);
}

// --- At the same time ---

TEST_F(PodLifeTest, StartsOfTwentyPodsOverlap) {
  constexpr int kPods = 20;
  // Nobody boots before all have come this far: serialised starts would hang.
  absl::Mutex mutex;
  int arrived = 0;
  world_.journal.Before("boot", [&] {
    absl::MutexLock lock(&mutex);
    ++arrived;
    auto all = [&] { return arrived == kPods; };
    mutex.Await(absl::Condition(&all));
    return absl::OkStatus();
  });
  std::vector<std::thread> threads;
  std::atomic<int> running{0};
  for (int i = 0; i < kPods; ++i) {
    threads.emplace_back([&, i] {
      auto pod = manager().Run(FakeWorld::Spec(absl::StrCat("pod", i)));
      EXPECT_THAT(pod, IsOk());
      running += pod.ok();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(running, kPods);
  std::set<std::string> addresses;
  for (const Pod& pod : manager().List().pods) {
    addresses.insert(pod.status.interfaces.at(0).addresses.at(0));
  }
  EXPECT_THAT(addresses, SizeIs(kPods));

  threads.clear();
  for (int i = 0; i < kPods; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_THAT(manager().Remove(absl::StrCat("pod", i), kNow), IsOk());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(manager().List().pods, IsEmpty());
}

TEST_F(PodLifeTest, SameNameInParallelSucceedsOnce) {
  constexpr int kTries = 8;
  std::atomic<int> created{0}, refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kTries; ++i) {
    threads.emplace_back([&] {
      absl::Status status = manager().Run(FakeWorld::Spec("web")).status();
      created += status.ok();
      refused += absl::IsAlreadyExists(status);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, 1);
  EXPECT_EQ(refused, kTries - 1);
  EXPECT_THAT(manager().List().pods, SizeIs(1));
}

TEST_F(PodLifeTest, StopDuringBootAbortsTheStart) {
  world_.launcher.HoldReady();
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  absl::Status started;
  std::thread starter([&] { started = manager().Start("web").status(); });
  ASSERT_TRUE(world_.journal.WaitFor("wait_ready", 1));
  // READY never comes: only the interrupt can end this.
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Stop("web", std::nullopt));
  starter.join();
  EXPECT_THAT(started, StatusIs(absl::StatusCode::kAborted,
                                HasSubstr("start pod \"web\": stopped")));
  EXPECT_EQ(pod.status.state, PodState::kFailed);
  EXPECT_EQ(pod.status.reason, "Aborted");
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodLifeTest, StopDuringAPluginWaitsForItAndUndoes) {
  absl::Notification in_plugin, go_on;
  world_.journal.Before("attach", [&] {
    in_plugin.Notify();
    go_on.WaitForNotification();
    return absl::OkStatus();
  });
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  absl::Status started, stopped;
  std::thread starter([&] { started = manager().Start("web").status(); });
  in_plugin.WaitForNotification();
  std::thread stopper([&] { stopped = manager().Stop("web", kNow).status(); });
  // The stop cannot overtake the plugin; give it the chance to try.
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("detach")));
  go_on.Notify();
  starter.join();
  stopper.join();
  EXPECT_THAT(started, StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(stopped, IsOk());
  world_.ExpectUndone({"overlay", "overlay_journal", "overlay_app", "netns",
                       "attach", "destroy"});
}

TEST_F(PodLifeTest, RemoveDuringRunRemoves) {
  world_.launcher.HoldReady();
  absl::Status ran;
  std::thread runner(
      [&] { ran = manager().Run(FakeWorld::Spec("web")).status(); });
  ASSERT_TRUE(world_.journal.WaitFor("wait_ready", 1));
  EXPECT_THAT(manager().Remove("web", kNow), IsOk());
  runner.join();
  EXPECT_THAT(ran, StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(manager().List().pods, IsEmpty());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodLifeTest, StopsAndRemovalsFromAllSides) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        absl::Status status = manager().Stop("web", kNow).status();
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
      });
      threads.emplace_back(
          [&] { EXPECT_THAT(manager().Remove("web", kNow), IsOk()); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_THAT(world_.Leftovers(), IsEmpty());
    ASSERT_THAT(manager().List().pods, IsEmpty());
  }
}

TEST_F(PodLifeTest, ReadersDoNotWaitForOperations) {
  absl::Notification in_plugin, go_on;
  world_.journal.Before("attach", [&] {
    in_plugin.Notify();
    go_on.WaitForNotification();
    return absl::OkStatus();
  });
  std::thread runner(
      [&] { EXPECT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk()); });
  in_plugin.WaitForNotification();
  EXPECT_EQ(manager().Get("web")->status.state, PodState::kStarting);
  EXPECT_THAT(manager().List().pods, SizeIs(1));
  EXPECT_THAT(manager().Create(FakeWorld::Spec("other")), IsOk());
  go_on.Notify();
  runner.join();
}

// --- Watches ---

TEST_F(PodLifeTest, EventsTellTheStoryInOrder) {
  ASSERT_OK_AND_ASSIGN(auto events, manager().Subscribe(0));
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  ASSERT_THAT(manager().Remove("web", kNow), IsOk());
  std::vector<std::string> story;
  uint64_t sequence = 0;
  while (true) {
    absl::StatusOr<PodEvent> event = events->Next(absl::Milliseconds(200));
    if (!event.ok()) {
      EXPECT_THAT(event, StatusIs(absl::StatusCode::kDeadlineExceeded));
      break;
    }
    EXPECT_EQ(event->sequence, ++sequence);
    std::string word = event->type == PodEvent::Type::kAdded ? "added"
                       : event->type == PodEvent::Type::kDeleted
                           ? "deleted"
                           : PodStateName(event->pod.status.state);
    if (story.empty() || story.back() != word) story.push_back(word);
  }
  EXPECT_THAT(story, ElementsAre("added", "Starting", "Running", "Stopping",
                                 "Exited", "Removing", "deleted"));
}

TEST_F(PodLifeTest, CursorTooOldOrOfAnotherAgent) {
  world_.options.event_capacity = 4;
  world_.Restart();
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  PodList list = manager().List();
  EXPECT_THAT(manager().Subscribe(list.sequence + 1),
              StatusIs(absl::StatusCode::kOutOfRange));
  ASSERT_OK_AND_ASSIGN(auto slow, manager().Subscribe(list.sequence));
  ASSERT_THAT(manager().Remove("web", kNow), IsOk());
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  EXPECT_THAT(
      manager().Subscribe(list.sequence),
      StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("are not kept")));
  EXPECT_THAT(slow->Next(kNow),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("too slow")));
}

TEST_F(PodLifeTest, DrainWakesSubscribers) {
  ASSERT_OK_AND_ASSIGN(auto events, manager().Subscribe(0));
  std::thread drainer([&] { manager().Drain(absl::Seconds(1)); });
  EXPECT_THAT(events->Next(absl::InfiniteDuration()),
              StatusIs(absl::StatusCode::kUnavailable));
  drainer.join();
}

TEST_F(PodLifeTest, DrainWaitsForOperationsUnderWay) {
  absl::Notification in_plugin, go_on;
  world_.journal.Before("attach", [&] {
    in_plugin.Notify();
    go_on.WaitForNotification();
    return absl::OkStatus();
  });
  absl::Status ran;
  std::thread runner(
      [&] { ran = manager().Run(FakeWorld::Spec("web")).status(); });
  in_plugin.WaitForNotification();
  absl::Time begun = absl::Now();
  manager().Drain(absl::Milliseconds(50));
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(50)) << "it is bounded";
  std::thread drainer([&] { manager().Drain(absl::Seconds(30)); });
  go_on.Notify();
  runner.join();
  drainer.join();
  EXPECT_THAT(ran, IsOk()) << "what began before the drain is finished";
}

}  // namespace
}  // namespace davit
