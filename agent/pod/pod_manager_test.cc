#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/pod/testing/fake_world.h"
#include "runtime/base/file.h"
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
using ::testing::StartsWith;

constexpr absl::Duration kNow = absl::ZeroDuration();

class PodManagerTest : public ::testing::Test {
 protected:
  FakeWorld world_;
  PodManager& manager() { return world_.manager(); }
};

std::vector<std::string> PhaseNames(const Pod& pod) {
  std::vector<std::string> names;
  for (const StartPhase& phase : pod.status.start_phases) {
    names.push_back(phase.name);
  }
  return names;
}

// --- The order of things ---

TEST_F(PodManagerTest, StartsInTheOrderOfTheHost) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web", 2)));
  EXPECT_THAT(world_.journal.lines(),
              ElementsAre("overlay", "overlay_journal", "overlay_app",
                          "overlay_app", "netns", "attach", "boot",
                          "wait_ready", "start_apps", "watch"));
  EXPECT_EQ(pod.status.state, PodState::kRunning);
  EXPECT_THAT(PhaseNames(pod),
              ElementsAre("image", "overlay", "netns", "cni_add", "cgroup",
                          "clone", "mounts", "exec", "ready", "apps"));
  EXPECT_EQ(pod.status.netns_path, "/fake/netns/cni-" + pod.id);
  ASSERT_THAT(pod.status.interfaces, SizeIs(1));
  EXPECT_EQ(pod.status.interfaces[0].addresses[0], "172.16.28.2/24");
  EXPECT_GT(pod.status.init.pid, 0);
  EXPECT_THAT(pod.status.cgroups,
              ElementsAre("/sys/fs/cgroup/davit/" + pod.id));
  EXPECT_EQ(pod.status.system_state, "running");
  ASSERT_THAT(pod.status.apps, SizeIs(2));
  EXPECT_EQ(pod.status.apps[0].status.state, AppStatus::State::kRunning);
  EXPECT_TRUE(pod.status.apps[0].started);
}

TEST_F(PodManagerTest, IntentsAreOnDiskBeforeTheirDeeds) {
  std::vector<std::string> seen;
  for (const char* op : {"overlay", "netns", "attach", "boot"}) {
    world_.journal.Before(op, [&, op] {
      std::string kinds;
      Pod on_disk = world_.store.pods()[0];
      for (const Intent& intent : on_disk.intents) {
        absl::StrAppend(&kinds, " ", IntentKindName(intent.kind));
      }
      seen.push_back(absl::StrCat(op, ":", kinds));
      return absl::OkStatus();
    });
  }
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  EXPECT_THAT(seen, ElementsAre("overlay: overlay netns network boot",
                                "netns: overlay netns network boot",
                                "attach: overlay netns network boot",
                                "boot: overlay netns network boot"));
}

TEST_F(PodManagerTest, StopsBackwardsAndReadsLastStatusesFirst) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.journal.Clear();
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("web", absl::Seconds(5)));
  world_.ExpectUndone({"stop_app app0 5s", "unwatch", "stop 5s"}, {"destroy"});
  EXPECT_EQ(pod.status.state, PodState::kExited);
  EXPECT_EQ(pod.status.reason, "Stopped");
  EXPECT_EQ(pod.status.apps[0].status.exit_code, 143);
  EXPECT_EQ(pod.status.apps[0].status.state, AppStatus::State::kTerminated);
  ASSERT_TRUE(pod.status.exit.has_value());
  EXPECT_EQ(pod.status.exit->kind, PodExit::Kind::kPowerOff);
  EXPECT_EQ(pod.status.init.pid, 0);
  EXPECT_EQ(pod.status.netns_path, "");
  EXPECT_THAT(pod.status.interfaces, IsEmpty());
  EXPECT_THAT(pod.intents, IsEmpty());
  EXPECT_FALSE(pod.stop_requested);
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
}

TEST_F(PodManagerTest, StopUsesTheGraceOfTheSpec) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.termination_grace = absl::Seconds(7);
  ASSERT_THAT(manager().Run(spec), IsOk());
  world_.journal.Clear();
  ASSERT_THAT(manager().Stop("web", std::nullopt), IsOk());
  EXPECT_THAT(world_.journal.lines(), Contains("stop_app app0 7s"));
  EXPECT_THAT(world_.journal.lines(), Contains("stop 7s"));
}

TEST_F(PodManagerTest, StopIsIdempotent) {
  ASSERT_THAT(manager().Create(FakeWorld::Spec("web")), IsOk());
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Stop("web", kNow));
  EXPECT_EQ(pod.status.state, PodState::kCreated);
  ASSERT_THAT(manager().Start("web"), IsOk());
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  world_.journal.Clear();
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("web", kNow));
  EXPECT_EQ(pod.status.state, PodState::kExited);
  EXPECT_THAT(world_.journal.lines(), IsEmpty());
}

TEST_F(PodManagerTest, StartsAgainAndKeepsTheLastRun) {
  ASSERT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk());
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Start("web"));
  EXPECT_EQ(pod.status.state, PodState::kRunning);
  EXPECT_EQ(pod.status.reason, "");
  EXPECT_FALSE(pod.status.exit.has_value());
  EXPECT_EQ(pod.status.apps[0].last.exit_code, 143);
  EXPECT_THAT(PhaseNames(pod), SizeIs(10));
  world_.journal.Clear();
  EXPECT_THAT(manager().Start("web"), IsOk()) << "idempotent while it runs";
  EXPECT_THAT(world_.journal.lines(), IsEmpty());
}

TEST_F(PodManagerTest, RemoveStopsAndLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  std::string runtime_dir = world_.options.state + "/pods/" + pod.id;
  EXPECT_TRUE(PathExists(runtime_dir));
  EXPECT_EQ(world_.images.hold_count("web"), 1);
  ASSERT_OK_AND_ASSIGN(bool existed, manager().Remove("web", kNow));
  EXPECT_TRUE(existed);
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.store.pods(), IsEmpty());
  EXPECT_FALSE(PathExists(runtime_dir));
  EXPECT_EQ(world_.images.hold_count("web"), 0);
  EXPECT_THAT(manager().Get("web"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"web\"")));
  ASSERT_OK_AND_ASSIGN(existed, manager().Remove("web", kNow));
  EXPECT_FALSE(existed);
  EXPECT_THAT(manager().Run(FakeWorld::Spec("web")), IsOk()) << "name is free";
}

// --- Networks and images ---

TEST_F(PodManagerTest, NetworkNoneHasOnlyANamespace) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.networks = {"none"};
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  EXPECT_THAT(world_.journal.lines(), Contains("netns"));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("attach")));
  EXPECT_NE(pod.status.netns_path, "");
}

TEST_F(PodManagerTest, HostNetworkHasNoNamespace) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.host_network = true;
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("netns")));
  EXPECT_EQ(world_.launcher.LastRequest().netns_path, "");
  EXPECT_EQ(pod.status.netns_path, "");
}

TEST_F(PodManagerTest, HostNetworkIsTheNodesOwnNamespace) {
  world_.options.node_netns = "/node";
  world_.node_address = "192.0.2.1";
  world_.Restart();
  PodSpec spec = FakeWorld::Spec("web");
  spec.networks = {"host"};
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  EXPECT_EQ(world_.launcher.LastRequest().netns_path, "/node");
  EXPECT_EQ(pod.status.netns_path, "");
  EXPECT_EQ(pod.status.host_ip, "192.0.2.1");
}

TEST_F(PodManagerTest, TakenHostPortIsRefusedBeforeAnythingAndNamesThePod) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.containers[0].ports = {{"", 80, "TCP", 8080, ""}};
  ASSERT_THAT(manager().Run(spec), IsOk());
  spec.name = "other";
  size_t lines = world_.journal.lines().size();
  EXPECT_THAT(
      manager().Run(spec),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "run pod \"other\": spec.containers[0].ports[0].hostPort: port "
               "8080/TCP of the node is taken by pod \"web\" (as 8080/TCP)"));
  EXPECT_EQ(world_.journal.lines().size(), lines);
  ASSERT_THAT(manager().Create(spec), IsOk()) << "it may be free later";
  EXPECT_THAT(manager().Start("other"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_THAT(manager().Start("other"), IsOk());
  EXPECT_THAT(manager().Start("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("by pod \"other\"")));
}

TEST_F(PodManagerTest, FailedStartFreesItsPorts) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.containers[0].ports = {{"", 80, "TCP", 8080, ""}};
  for (const char* step : {"overlay", "attach", "boot"}) {
    world_.journal.Fail(step, absl::InternalError("no"));
    EXPECT_THAT(manager().Run(spec), StatusIs(absl::StatusCode::kInternal));
    world_.journal.Heal(step);
    spec.name += "x";
  }
  EXPECT_THAT(manager().Run(spec), IsOk());
}

TEST_F(PodManagerTest, ChecksEachNetworkOnItsOwn) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.attachments = {{.name = "default"},
                      {.name = "second", .interface = "back"}};
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  world_.network.FailNext(FakePodNetwork::Op::kCheck,
                          absl::InternalError("the route is gone"));
  ASSERT_OK_AND_ASSIGN(std::vector<NetworkCheck> checks,
                       manager().CheckNetworks("web"));
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(checks[0].network, "default");
  EXPECT_EQ(checks[0].outcome, absl::InternalError("the route is gone"));
  EXPECT_EQ(checks[1].network, "second");
  EXPECT_EQ(checks[1].interface, "back");
  EXPECT_THAT(checks[1].outcome, IsOk());
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_THAT(manager().CheckNetworks("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not running")));
}

TEST_F(PodManagerTest, DialsInThePodsNamespace) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.dial_answer = absl::UnavailableError("connection refused");
  EXPECT_THAT(manager().Dial("web", 8080),
              StatusIs(absl::StatusCode::kUnavailable,
                       "pod \"web\": connection refused"));
  EXPECT_EQ(world_.last_dial, absl::StrCat(pod.status.netns_path, ":8080"));
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_THAT(manager().Dial("web", 8080),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(manager().Dial("nope", 8080),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PodManagerTest, FollowedLogEndsWhenTheAppHasEndedAndAllIsRead) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web", 2)));
  world_.logs_complete = false;
  EXPECT_FALSE(manager().LogEnded("web", "app0")) << "it runs";
  world_.apps.Change(pod.id, "app0", ScriptedApps::Ended(0));
  ASSERT_TRUE(world_.WaitFor([&] {
    return manager().Get("web")->status.apps[0].status.state ==
           AppStatus::State::kTerminated;
  }));
  EXPECT_FALSE(manager().LogEnded("web", "app0")) << "lines are on their way";
  world_.logs_complete = true;
  EXPECT_TRUE(manager().LogEnded("web", "app0"));
  EXPECT_FALSE(manager().LogEnded("web", "app1"));
  EXPECT_FALSE(manager().LogEnded("web", ""));
  ASSERT_THAT(manager().Stop("web", kNow), IsOk());
  EXPECT_TRUE(manager().LogEnded("web", "app1"));
}

TEST_F(PodManagerTest, UnknownNetworkIsRefusedBeforeAnything) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.networks = {"default", "typo"};
  EXPECT_THAT(manager().Create(spec),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("spec.networks: network \"typo\""),
                             HasSubstr("default, second"))));
  EXPECT_THAT(world_.journal.lines(), IsEmpty());
  EXPECT_THAT(world_.store.history(), IsEmpty());
  EXPECT_EQ(world_.images.hold_count("web"), 0);
}

TEST_F(PodManagerTest, UnknownImageIsNamed) {
  PodSpec spec = FakeWorld::Spec("web", 2);
  spec.containers[1].image = "nope";
  EXPECT_THAT(manager().Create(spec),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("spec.containers[1].image"),
                             HasSubstr("nope"))));
  EXPECT_EQ(world_.images.hold_count("web"), 0);
  EXPECT_THAT(world_.store.history(), IsEmpty());
  spec.containers[1].image = "web";
  EXPECT_THAT(manager().Create(spec), IsOk()) << "the name is free again";
}

TEST_F(PodManagerTest, ImagesOfPodsCannotBeRemoved) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  EXPECT_EQ(pod.status.apps[0].image_id, world_.images.Get("web").value().id);
  EXPECT_THAT(world_.images.Remove("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(manager().Remove("web", kNow), IsOk());
  EXPECT_THAT(world_.images.Remove("web"), IsOk());
}

TEST_F(PodManagerTest, RootImageMustBoot) {
  PodSpec spec = FakeWorld::Spec("web");
  spec.root_image = "plain";
  EXPECT_THAT(
      manager().Run(spec),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no systemd")));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("overlay")));
}

TEST_F(PodManagerTest, MissingCommandIsAPrecondition) {
  world_.rootfs.RemoveCommand("serve");
  EXPECT_THAT(
      manager().Run(FakeWorld::Spec("web")),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(StartsWith("run pod \"web\": app \"app0\": command"),
                     HasSubstr("\"serve\" not found in $PATH"))));
  EXPECT_THAT(world_.Leftovers(), IsEmpty());
  EXPECT_THAT(world_.store.pods(), IsEmpty());
}

TEST_F(PodManagerTest, MachineNeedsNoApps) {
  PodSpec spec = FakeWorld::Spec("box", 0);
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(spec));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("start_apps")));
  EXPECT_EQ(pod.status.state, PodState::kRunning);
}

// --- Look-ups ---

TEST_F(PodManagerTest, FindsByNameIdAndPrefix) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  for (const std::string& reference :
       {std::string("web"), pod.id, pod.id.substr(0, 4)}) {
    EXPECT_THAT(manager().Get(reference), IsOk()) << reference;
  }
  EXPECT_THAT(manager().Get(pod.id.substr(0, 3)),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(manager().Get("we"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PodManagerTest, NameIsTaken) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  EXPECT_THAT(manager().Run(FakeWorld::Spec("web")),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       AllOf(HasSubstr("\"web\""), HasSubstr(pod.id))));
}

TEST_F(PodManagerTest, ListIsOrderedByName) {
  for (const char* name : {"b", "a", "c"}) {
    ASSERT_THAT(manager().Create(FakeWorld::Spec(name)), IsOk());
  }
  PodList list = manager().List();
  ASSERT_THAT(list.pods, SizeIs(3));
  EXPECT_EQ(list.pods[0].spec.name, "a");
  EXPECT_EQ(list.pods[2].spec.name, "c");
  EXPECT_EQ(list.sequence, 3u);
}

TEST_F(PodManagerTest, LogsExecAndUsage) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  EXPECT_TRUE(manager().LogEnded("web", "app0"));
  EXPECT_THAT(manager().Usage("web"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("pod \"web\" is not running: it is Created")));
  EXPECT_THAT(manager().Exec("web", {.app = "app0"}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(manager().Attach("web", false),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not running")));
  ASSERT_OK_AND_ASSIGN(pod, manager().Start("web"));
  EXPECT_FALSE(manager().LogEnded("web", "app0"));
  EXPECT_EQ(manager().Usage("web")->tasks, 3);
  ASSERT_OK_AND_ASSIGN(LogOptions logs, manager().LogSource("web", "app0"));
  EXPECT_EQ(logs.journal_dir,
            world_.options.root + "/pods/" + pod.id + "/logs/journal");
  EXPECT_EQ(logs.app, "app0");
  EXPECT_THAT(manager().LogSource("web", "nope"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nope\"")));
  EXPECT_THAT(manager().Exec("web", {.app = "nope"}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(manager().Exec("web", {.app = "app0"}),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(world_.journal.lines(),
              Contains(absl::StrCat("exec app0 ", pod.status.init.pid)));
  // A login is in the pod itself.
  EXPECT_THAT(manager().Exec("web", {.login_user = "root"}),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(world_.journal.lines(),
              Contains(absl::StrCat("exec  ", pod.status.init.pid)));
  EXPECT_THAT(manager().Attach("web", true),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(world_.journal.lines(), Contains("attach_console typing"));
  EXPECT_THAT(manager().Attach("nope", true),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(manager().LogEnded("nope", "app0"));
}

TEST_F(PodManagerTest, VolumesAreRecordedUntilTheyGo) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  PodMount volume = {.source = "/srv/a", .target = "/data", .app = "app0"};
  EXPECT_THAT(manager().Mount("web", volume),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not running")));
  ASSERT_OK_AND_ASSIGN(pod, manager().Start("web"));
  ASSERT_OK_AND_ASSIGN(pod, manager().Mount("web", volume));
  volume.mount_id = 1;
  EXPECT_EQ(pod.status.mounts, std::vector<PodMount>{volume});
  EXPECT_EQ(world_.store.pods()[0].status.mounts, pod.status.mounts);
  EXPECT_THAT(world_.journal.lines(),
              Contains("mount /srv/a /opt/stage2/app0/rootfs /data"));
  EXPECT_THAT(manager().Mount("web", volume),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("/srv/a is mounted at /data already")));
  volume.app = "nope";
  EXPECT_THAT(manager().Mount("web", volume),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nope\"")));
  // The same target in the pod's own root is another.
  ASSERT_OK_AND_ASSIGN(
      pod, manager().Mount("web", {.source = "/srv/b", .target = "/data"}));
  EXPECT_THAT(world_.journal.lines(), Contains("mount /srv/b / /data"));
  EXPECT_EQ(pod.status.mounts.size(), 2u);
  EXPECT_THAT(manager().Unmount("web", {.app = "", .target = "/other"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("nothing was mounted at /other")));
  ASSERT_OK_AND_ASSIGN(
      pod, manager().Unmount(
               "web", {.app = "app0", .target = "/data", .force = true}));
  EXPECT_THAT(world_.journal.lines(), Contains("umount 1 by force"));
  ASSERT_EQ(pod.status.mounts.size(), 1u);
  EXPECT_EQ(pod.status.mounts[0].source, "/srv/b");
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("web", absl::ZeroDuration()));
  EXPECT_THAT(pod.status.mounts, IsEmpty());
}

TEST_F(PodManagerTest, AVolumeThatCannotBeRecordedIsNotMounted) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.store.FailWritesIf([](const Pod& pod) {
    return pod.status.mounts.empty() ? absl::OkStatus()
                                     : absl::ResourceExhaustedError("full");
  });
  EXPECT_THAT(manager().Mount("web", {.source = "/srv/a", .target = "/data"}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(world_.journal.lines(), Not(Contains("mount /srv/a / /data")));
  EXPECT_THAT(manager().Get("web")->status.mounts, IsEmpty());
}

TEST_F(PodManagerTest, AVolumeThatCannotBeMountedIsNotOnRecord) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.journal.Fail("mount", absl::FailedPreconditionError("cannot map"));
  EXPECT_THAT(
      manager().Mount("web", {.source = "/srv/a", .target = "/data"}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot map")));
  EXPECT_THAT(world_.store.pods()[0].status.mounts, IsEmpty());
}

TEST_F(PodManagerTest, DrainRefusesNewWorkAndPodsRunOn) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  manager().Drain(absl::Seconds(1));
  EXPECT_THAT(manager().Run(FakeWorld::Spec("other")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining")));
  EXPECT_THAT(manager().Stop("web", kNow),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(manager().Subscribe(0), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(manager().Get("web"), IsOk());
  EXPECT_TRUE(world_.launcher.IsAlive(pod.id));
}

}  // namespace
}  // namespace davit
