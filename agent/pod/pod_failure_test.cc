// Starts and stops that fail half-way: what is undone, in which order, what is
// kept and tried again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/pod/intents.h"
#include "agent/pod/testing/fake_world.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakeWorld;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr absl::Duration kNow = absl::ZeroDuration();

class PodFailureTest : public ::testing::Test {
 protected:
  FakeWorld world_;
  PodManager& manager() { return world_.manager(); }
};

struct FailureCase {
  const char* op;
  bool after;  // the deed is done, and then reported as failed
  std::vector<std::string> undo;
  bool own_users = false;
};

void PrintTo(const FailureCase& c, std::ostream* os) {
  *os << (c.after ? "after " : "at ") << c.op;
}

class StartFailureTest : public PodFailureTest,
                         public ::testing::WithParamInterface<FailureCase> {};

TEST_P(StartFailureTest, LeavesNothingAndUndoesBackwards) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.host_users = !GetParam().own_users;
  ASSERT_THAT(manager().Create(spec), IsOk());
  auto fail = [] { return absl::InternalError("broken"); };
  if (GetParam().after) {
    world_.journal.After(GetParam().op, fail);
  } else {
    world_.journal.Before(GetParam().op, fail);
  }
  EXPECT_THAT(
      manager().Start("web"),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(StartsWith("start pod \"web\": "), HasSubstr("broken"))));

  std::vector<std::string> lines = world_.journal.lines();
  auto failed = std::find(lines.rbegin(), lines.rend(), GetParam().op).base();
  EXPECT_EQ(std::vector<std::string>(failed, lines.end()), GetParam().undo);
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  Pod pod = world_.store.pods()[0];
  EXPECT_EQ(pod.status.state, PodState::kFailed);
  EXPECT_EQ(pod.status.reason, "StartFailed");
  EXPECT_THAT(pod.status.message, HasSubstr("broken"));
  EXPECT_THAT(pod.intents, IsEmpty());

  world_.journal.Heal(GetParam().op);
  ASSERT_OK_AND_ASSIGN(pod, manager().Start("web"));
  EXPECT_EQ(pod.status.state, PodState::kRunning);
}

INSTANTIATE_TEST_SUITE_P(
    EachStep, StartFailureTest,
    ::testing::Values(
        FailureCase{"overlay", false, {"destroy", "unmount"}},
        FailureCase{"overlay", true, {"destroy", "unmount"}},
        FailureCase{"overlay_journal", false, {"destroy", "unmount"}},
        FailureCase{"overlay_app", false, {"destroy", "unmount"}},
        FailureCase{"netns", false, {"destroy", "rm_netns", "unmount"}},
        FailureCase{"netns", true, {"destroy", "rm_netns", "unmount"}},
        FailureCase{
            "attach", false, {"destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{
            "attach", true, {"destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{
            "boot", false, {"destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{"boot", true, {"destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{"wait_ready",
                    false,
                    {"stop 0", "destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{"start_apps",
                    false,
                    {"stop 0", "destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{
            "watch",
            true,
            {"unwatch", "stop 0", "destroy", "detach", "rm_netns", "unmount"}},
        FailureCase{"userns", false, {}, true},
        FailureCase{"userns", true, {"rm_userns"}, true},
        FailureCase{
            "overlay", false, {"destroy", "unmount", "rm_userns"}, true},
        FailureCase{"netns",
                    false,
                    {"destroy", "rm_netns", "unmount", "rm_userns"},
                    true},
        FailureCase{"boot",
                    false,
                    {"destroy", "detach", "rm_netns", "unmount", "rm_userns"},
                    true}));

// What is prepared beside the other steps is waited for and undone with them.
TEST_F(PodFailureTest, FailedPreparationFailsTheStart) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.launcher.SetPrepareStatus(absl::InternalError("no cgroup"));
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("start pod \"web\": boot: no cgroup")));
  EXPECT_THAT(world_.journal.lines(),
              AllOf(Contains("destroy"), Contains("detach"),
                    Contains("rm_netns"), Contains("unmount")));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.store.pods()[0].intents, IsEmpty());
}

TEST_F(PodFailureTest, PreparationIsDroppedWhenAnotherStepFails) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("attach", absl::InternalError("broken"));
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("broken")));
  EXPECT_EQ(world_.launcher.prepared(), 0);
}

TEST_F(PodFailureTest, FailedRunRemovesThePod) {
  world_.journal.Fail("attach", absl::DeadlineExceededError("plugin hung"));
  EXPECT_THAT(manager().Run(FakeWorld::Spec("web")),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       StartsWith("run pod \"web\": attach networks: ")));
  EXPECT_THAT(manager().List().pods, IsEmpty());
  EXPECT_THAT(world_.store.pods(), IsEmpty());
  EXPECT_EQ(world_.images.hold_count("web"), 0);
}

TEST_F(PodFailureTest, RecordThatCannotBeWrittenStopsTheStart) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.store.FailWritesIf([](const Pod& pod) {
    return HasIntent(pod, IntentKind::kNetns)
               ? absl::ResourceExhaustedError("disk is full")
               : absl::OkStatus();
  });
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("record intents: disk is full")));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("netns")));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodFailureTest, RunningThatCannotBeWrittenIsNoRunning) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.store.FailWritesIf([](const Pod& pod) {
    return pod.status.state == PodState::kRunning
               ? absl::ResourceExhaustedError("disk is full")
               : absl::OkStatus();
  });
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(manager().Get("web")->status.state, PodState::kFailed);
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodFailureTest, StopGoesOnWhenTheRecordCannotBeWritten) {
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("save", absl::ResourceExhaustedError("disk is full"));
  EXPECT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.problems(), Contains(HasSubstr("disk is full")));
}

TEST_F(PodFailureTest, FailedUndoIsKeptAndRetriedAtTheNextStart) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("boot", absl::InternalError("no shim"));
  world_.journal.Fail("detach", absl::InternalError("plugin crashed"));
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("no shim"),
                             HasSubstr("undo network: plugin crashed"))));
  Pod pod = world_.store.pods()[0];
  ASSERT_THAT(pod.intents, SizeIs(1));
  EXPECT_EQ(pod.intents[0].kind, IntentKind::kNetwork);
  EXPECT_EQ(pod.intents[0].error, "plugin crashed");

  world_.journal.Heal("boot");
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("undo what an earlier run left")));
  world_.journal.Heal("detach");
  ASSERT_OK_AND_ASSIGN(pod, manager().Start("web"));
  EXPECT_EQ(pod.status.state, PodState::kRunning);
}

TEST_F(PodFailureTest, FailedUndoOfAStopIsRetriedByItself) {
  world_.options.retry_interval = absl::Milliseconds(20);
  world_.Restart();
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("detach", absl::InternalError("plugin crashed"));
  EXPECT_THAT(manager().Stop("web", kNow),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("undo network: plugin crashed")));
  EXPECT_EQ(manager().Get("web")->status.state, PodState::kExited);
  EXPECT_TRUE(world_.journal.WaitFor("detach", 3)) << "tried again and again";
  world_.journal.Heal("detach");
  EXPECT_TRUE(
      world_.WaitFor([&] { return world_.store.pods()[0].intents.empty(); }));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodFailureTest, NothingIsReleasedWhileProcessesMayLive) {
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("stop", absl::InternalError("shim is gone"));
  world_.journal.Fail("destroy", absl::InternalError("cgroup is busy"));
  EXPECT_THAT(manager().Stop("web", kNow),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("undo boot: cgroup is busy")));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("detach")));
  Pod pod = manager().Get("web").value();
  EXPECT_EQ(pod.status.state, PodState::kStopping);
  EXPECT_TRUE(pod.stop_requested);
  EXPECT_THAT(pod.intents, SizeIs(4));
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("the pod is Stopping")));

  world_.journal.Heal("destroy");
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("web", kNow));
  EXPECT_EQ(pod.status.state, PodState::kExited);
  EXPECT_EQ(pod.status.reason, "Stopped");
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodFailureTest, FailedRemovalIsFinishedByItself) {
  world_.options.retry_interval = absl::Milliseconds(20);
  world_.Restart();
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  world_.journal.Fail("unmount", absl::InternalError("busy"));
  EXPECT_THAT(manager().Remove("web", kNow),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("remove pod \"web\": undo overlay: busy")));
  EXPECT_TRUE(world_.store.pods()[0].remove_requested);
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("being removed")));
  world_.journal.Heal("unmount");
  EXPECT_TRUE(world_.WaitFor([&] { return manager().List().pods.empty(); }));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

}  // namespace
}  // namespace davit
