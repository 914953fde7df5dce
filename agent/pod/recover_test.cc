// The agent's process ends at every point of a start, stop and removal, and the
// next one finds a node that it can bring in order.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/pod/testing/fake_world.h"
#include "runtime/base/file.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakeWorld;
using ::davit::testing::IsOk;
using ::davit::testing::ScriptedApps;
using ::davit::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kNow = absl::ZeroDuration();

class RecoverTest : public ::testing::Test {
 protected:
  FakeWorld world_;
  PodManager& manager() { return world_.manager(); }

  // The agent is killed; the next one recovers.
  RecoveryReport KillAndRecover() {
    absl::StatusOr<RecoveryReport> report = world_.Restart(true).Recover();
    EXPECT_THAT(report, IsOk());
    return report.ok() ? *report : RecoveryReport();
  }
  std::string RuntimeDir(const std::string& id) {
    return absl::StrCat(world_.options.state, "/pods/", id);
  }
  std::string PodDir(const std::string& id) {
    return absl::StrCat(world_.options.root, "/pods/", id);
  }
};

TEST_F(RecoverTest, UserNamespacesSurviveOrGoWithTheirPod) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.host_users = false;
  ASSERT_OK_AND_ASSIGN(Pod before, manager().Run(spec));
  EXPECT_EQ(before.status.userns.path, RuntimeDir(before.id) + "/userns");
  EXPECT_EQ(KillAndRecover().adopted, 1);
  EXPECT_EQ(manager().Get("web")->status.userns, before.status.userns);
  ASSERT_OK_AND_ASSIGN(Pod stopped, manager().Stop("web", kNow));
  EXPECT_EQ(stopped.status.userns, PodUserns());
  EXPECT_THAT(world_.userns.pins(), IsEmpty());

  world_.journal.After("boot", [this] { return world_.journal.Kill(); });
  EXPECT_FALSE(manager().Start("web").ok());
  EXPECT_THAT(world_.userns.pins(), SizeIs(1));
  EXPECT_EQ(KillAndRecover().rolled_back, 1);
  EXPECT_THAT(world_.userns.pins(), IsEmpty());

  // Of a pod that no record knows.
  std::string stray = NewUuid();
  ASSERT_THAT(MakeDirectories(RuntimeDir(stray)), IsOk());
  ASSERT_THAT(world_.userns.Prepare(RuntimeDir(stray)), IsOk());
  KillAndRecover();
  EXPECT_THAT(world_.userns.pins(), IsEmpty());
  EXPECT_FALSE(PathExists(RuntimeDir(stray)));
}

// --- Running pods ---

TEST_F(RecoverTest, RunningPodsAreAdopted) {
  ASSERT_OK_AND_ASSIGN(Pod before, manager().Run(FakeWorld::Spec("web")));
  RecoveryReport report = KillAndRecover();
  EXPECT_EQ(report.adopted, 1);
  EXPECT_EQ(report.ended + report.rolled_back, 0);
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_EQ(manager().recovery_report().adopted, 1);

  Pod after = manager().Get("web").value();
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.status.state, PodState::kRunning);
  EXPECT_EQ(after.status.init, before.status.init);
  EXPECT_EQ(after.status.interfaces[0].addresses,
            before.status.interfaces[0].addresses);
  EXPECT_EQ(world_.images.hold_count("web"), 1);
  EXPECT_THAT(manager().Create(FakeWorld::Spec("web")),
              StatusIs(absl::StatusCode::kAlreadyExists));

  // It is watched again, and can be stopped.
  world_.apps.Change(after.id, "app0", ScriptedApps::Ended(4));
  ASSERT_TRUE(world_.WaitForState("web", PodState::kExited));
  EXPECT_EQ(manager().Get("web")->status.apps[0].status.exit_code, 4);
  EXPECT_THAT(manager().Remove("web", kNow), IsOk());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(RecoverTest, AdoptedPodThatEndsIsCleanedUp) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("box", 0)));
  KillAndRecover();
  world_.launcher.End(pod.id, {.kind = PodExit::Kind::kPowerOff,
                               .at = absl::FromUnixSeconds(5)});
  EXPECT_TRUE(world_.WaitForState("box", PodState::kExited));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(RecoverTest, PodThatEndedMeanwhileHasItsExactExit) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("box", 0)));
  world_.journal.Kill().IgnoreError();
  world_.launcher.End(pod.id, {.kind = PodExit::Kind::kExited,
                               .code = 42,
                               .at = absl::FromUnixSeconds(7000)});
  RecoveryReport report = KillAndRecover();
  EXPECT_EQ(report.ended, 1);
  pod = manager().Get("box").value();
  EXPECT_EQ(pod.status.state, PodState::kExited);
  EXPECT_EQ(pod.status.exit->code, 42);
  EXPECT_EQ(pod.status.finished_at, absl::FromUnixSeconds(7000));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(RecoverTest, MachineThatRebootedMeanwhileIsStartedAgain) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("box", 0)));
  world_.journal.Kill().IgnoreError();
  world_.launcher.End(pod.id, {.kind = PodExit::Kind::kReboot,
                               .at = absl::FromUnixSeconds(7000)});
  KillAndRecover();
  EXPECT_TRUE(world_.WaitForState("box", PodState::kRunning));
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
}

TEST_F(RecoverTest, AfterTheNodesRebootNobodySawTheEnd) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.launcher.ForgetAll();
  RecoveryReport report = KillAndRecover();
  EXPECT_EQ(report.ended, 1);
  EXPECT_THAT(report.failed, IsEmpty());
  pod = manager().Get("web").value();
  EXPECT_EQ(pod.status.exit->kind, PodExit::Kind::kUnknown);
  EXPECT_GT(pod.status.finished_at, absl::FromUnixSeconds(1'000'000));
  EXPECT_EQ(pod.status.apps[0].status.reason, "ContainerStatusUnknown");
  EXPECT_EQ(PodPhase(pod), "Failed");
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(manager().Start("web"), IsOk());
}

TEST_F(RecoverTest, PodThatCannotBeTakenUpIsNotReleased) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  PodManager& next = world_.Restart(true);
  world_.journal.Fail("recover", absl::InternalError("shim.json is broken"));
  ASSERT_OK_AND_ASSIGN(RecoveryReport report, next.Recover());
  EXPECT_EQ(report.adopted, 0);
  EXPECT_THAT(report.failed,
              ElementsAre("pod \"web\": take up: shim.json is broken"));
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
  EXPECT_THAT(world_.Leftovers(), Contains("netns " + pod.id));
  EXPECT_THAT(manager().Exec("web", {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_FALSE(world_.launcher.IsAlive(pod.id));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

// --- Killed at each point ---

struct KillPoint {
  const char* op;
  bool after;
};

void PrintTo(const KillPoint& point, std::ostream* os) {
  *os << (point.after ? "after " : "before ") << point.op;
}

class KillTest : public RecoverTest,
                 public ::testing::WithParamInterface<KillPoint> {
 protected:
  void Arm() {
    auto kill = [this] { return world_.journal.Kill(); };
    if (GetParam().after) {
      world_.journal.After(GetParam().op, kill);
    } else {
      world_.journal.Before(GetParam().op, kill);
    }
  }
};

class KilledStartTest : public KillTest {};

TEST_P(KilledStartTest, IsRolledBack) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  Arm();
  EXPECT_THAT(manager().Start("web"), StatusIs(absl::StatusCode::kUnavailable));
  RecoveryReport report = KillAndRecover();
  EXPECT_EQ(report.rolled_back, 1);
  EXPECT_EQ(report.adopted + report.ended, 0);
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  Pod pod = world_.store.pods()[0];
  EXPECT_EQ(pod.status.state, PodState::kFailed);
  EXPECT_EQ(pod.status.reason, "AgentRestarted");
  EXPECT_THAT(pod.intents, IsEmpty());
  EXPECT_THAT(manager().Start("web"), IsOk());
  EXPECT_THAT(manager().Remove("web", kNow), IsOk());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    EachPoint, KilledStartTest,
    ::testing::Values(KillPoint{"overlay", false}, KillPoint{"overlay", true},
                      KillPoint{"overlay_journal", true},
                      KillPoint{"overlay_app", true}, KillPoint{"netns", false},
                      KillPoint{"netns", true}, KillPoint{"attach", false},
                      KillPoint{"attach", true}, KillPoint{"boot", false},
                      KillPoint{"boot", true}, KillPoint{"wait_ready", false},
                      KillPoint{"start_apps", false},
                      KillPoint{"start_apps", true}, KillPoint{"watch", false},
                      KillPoint{"watch", true}));

class KilledStopTest : public KillTest {};

TEST_P(KilledStopTest, IsFinished) {
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  Arm();
  manager().Stop("web", kNow).status().IgnoreError();
  RecoveryReport report = KillAndRecover();
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  Pod pod = world_.store.pods()[0];
  EXPECT_EQ(pod.status.state, PodState::kExited);
  EXPECT_EQ(pod.status.reason, "Stopped");
  EXPECT_THAT(pod.intents, IsEmpty());
  EXPECT_FALSE(pod.stop_requested);
  EXPECT_THAT(manager().Start("web"), IsOk());
}

INSTANTIATE_TEST_SUITE_P(
    EachPoint, KilledStopTest,
    ::testing::Values(KillPoint{"stop_app", false}, KillPoint{"stop_app", true},
                      KillPoint{"stop", false}, KillPoint{"stop", true},
                      KillPoint{"destroy", false}, KillPoint{"destroy", true},
                      KillPoint{"detach", false}, KillPoint{"detach", true},
                      KillPoint{"rm_netns", true}, KillPoint{"unmount", false},
                      KillPoint{"unmount", true}));

class KilledRemovalTest : public KillTest {};

TEST_P(KilledRemovalTest, IsFinished) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  Arm();
  manager().Remove("web", kNow).status().IgnoreError();
  RecoveryReport report = KillAndRecover();
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_THAT(report.removed,
              Contains(HasSubstr("whose removal was under way")));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.store.pods(), IsEmpty());
  EXPECT_THAT(manager().List().pods, IsEmpty());
  EXPECT_FALSE(PathExists(RuntimeDir(pod.id)));
  EXPECT_EQ(world_.images.hold_count("web"), 0);
}

INSTANTIATE_TEST_SUITE_P(EachPoint, KilledRemovalTest,
                         ::testing::Values(KillPoint{"stop_app", true},
                                           KillPoint{"stop", true},
                                           KillPoint{"destroy", true},
                                           KillPoint{"detach", true},
                                           KillPoint{"unmount", true}));

TEST_F(RecoverTest, FailedUndoOfARollBackIsReportedAndRetried) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.journal.Before("boot", [this] { return world_.journal.Kill(); });
  EXPECT_FALSE(manager().Start("web").ok());
  world_.options.retry_interval = absl::Milliseconds(20);
  PodManager& next = world_.Restart(true);
  world_.journal.Fail("detach", absl::InternalError("plugin is missing"));
  ASSERT_OK_AND_ASSIGN(RecoveryReport report, next.Recover());
  EXPECT_THAT(report.failed,
              ElementsAre("pod \"web\": undo its start: undo network: plugin "
                          "is missing"));
  Pod pod = manager().Get("web").value();
  ASSERT_THAT(pod.intents, SizeIs(1));
  EXPECT_EQ(pod.intents[0].error, "plugin is missing");
  world_.journal.Heal("detach");
  EXPECT_TRUE(
      world_.WaitFor([&] { return world_.store.pods()[0].intents.empty(); }));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

// --- What belongs to nobody ---

TEST_F(RecoverTest, OwnerlessThingsAreRemovedAndNamed) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(MakeDirectories(PodDir(pod.id)), IsOk());
  ASSERT_THAT(world_.store.Remove(pod.id), IsOk());  // the record is lost
  std::vector<std::string> kinds;
  world_.options.on_garbage = [&](const GarbageItem& item) {
    EXPECT_THAT(item.outcome, IsOk());
    kinds.push_back(item.kind);
  };
  RecoveryReport report = KillAndRecover();
  EXPECT_THAT(report.removed,
              UnorderedElementsAre("cgroup " + pod.id,
                                   "netns /fake/netns/cni-" + pod.id,
                                   "attachment default " + pod.id + " eth0",
                                   "mounts " + PodDir(pod.id),
                                   "runtime directory " + RuntimeDir(pod.id),
                                   "pod directory " + PodDir(pod.id)));
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_THAT(kinds,
              UnorderedElementsAre("cgroup", "netns", "attachment", "mounts",
                                   "runtime directory", "pod directory"));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.network.InterfacesOf(pod.id), IsEmpty());
  EXPECT_FALSE(PathExists(RuntimeDir(pod.id)));
}

TEST_F(RecoverTest, CgroupsOfOthersAreLeftAlone) {
  std::string other = NewUuid();
  world_.launcher.AddCgroup(other);
  RecoveryReport report = KillAndRecover();
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_THAT(report.failed,
              ElementsAre(HasSubstr("remove cgroup " + other +
                                    ": left alone, as another agent's")));
  EXPECT_THAT(world_.launcher.Known(), ElementsAre(other));
}

TEST_F(RecoverTest, NetworkOfLivingProcessesIsKept) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(world_.store.Remove(pod.id), IsOk());
  world_.Restart(true);
  world_.journal.Fail("destroy", absl::InternalError("it will not die"));
  ASSERT_OK_AND_ASSIGN(RecoveryReport report, manager().Recover());
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_THAT(report.failed,
              ElementsAre("remove cgroup " + pod.id + ": it will not die"));
  EXPECT_THAT(world_.network.InterfacesOf(pod.id), SizeIs(1));
}

// --- By request ---

TEST_F(RecoverTest, CollectionByRequestFindsWhatADryRunNamed) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  std::string stray = NewUuid();
  ASSERT_THAT(world_.network.CreateNetns(stray), IsOk());
  std::vector<GarbageItem> dry = manager().CollectGarbage(/*dry_run=*/true);
  ASSERT_THAT(dry, SizeIs(1));
  EXPECT_EQ(dry[0].kind, "netns");
  EXPECT_EQ(dry[0].name, "/fake/netns/cni-" + stray);
  EXPECT_THAT(manager().CollectGarbage(false), SizeIs(1));
  EXPECT_THAT(manager().CollectGarbage(false), IsEmpty());
  EXPECT_THAT(world_.network.InterfacesOf(pod.id), SizeIs(1));
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
}

TEST_F(RecoverTest, CollectionLeavesPodsWithBrokenRecordsAlone) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(world_.store.Remove(pod.id), IsOk());
  world_.store.AddBroken(pod.id);
  KillAndRecover();
  EXPECT_THAT(manager().CollectGarbage(false), IsEmpty());
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
}

TEST_F(RecoverTest, PortsOfPodsThatRanOnAreTaken) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.containers[0].ports = {{"", 80, "TCP", 8080, ""}};
  ASSERT_THAT(manager().Run(spec), IsOk());
  KillAndRecover();
  spec.name = "other";
  EXPECT_THAT(manager().Run(spec),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is taken by pod \"web\"")));
}

TEST_F(RecoverTest, PodsWithBrokenRecordsAreLeftAlone) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(manager().Run(FakeWorld::Spec("good")), IsOk());
  ASSERT_THAT(world_.store.Remove(pod.id), IsOk());
  world_.store.AddBroken(pod.id);
  RecoveryReport report = KillAndRecover();
  EXPECT_EQ(report.adopted, 1);
  EXPECT_THAT(report.failed, ElementsAre(HasSubstr(pod.id + ": broken")));
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
}

TEST_F(RecoverTest, TwoRecordsOfOneName) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  Pod copy = pod;
  copy.id = NewUuid();
  ASSERT_THAT(world_.store.Create(copy), IsOk());
  RecoveryReport report = KillAndRecover();
  EXPECT_THAT(report.failed,
              ElementsAre(HasSubstr("a pod named \"web\" exists already")));
  EXPECT_THAT(manager().List().pods, SizeIs(1));
  EXPECT_THAT(world_.store.pods(), SizeIs(2)) << "a person decides";
}

TEST_F(RecoverTest, LostImageIsReportedAndTheStartSaysSo) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  world_.Restart(true);
  ASSERT_THAT(world_.images.Remove("web"), IsOk());
  ASSERT_OK_AND_ASSIGN(RecoveryReport report, manager().Recover());
  EXPECT_THAT(report.failed,
              ElementsAre(HasSubstr("pod \"web\": hold its images: "
                                    "spec.containers[0].image")));
  EXPECT_THAT(manager().Start("web"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(manager().Remove("web", kNow), IsOk());
}

}  // namespace
}  // namespace davit
