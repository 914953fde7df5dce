#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/pod/testing/fake_world.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::absl::StatusCode;
using ::davit::testing::FakeWorld;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class LiveChangesTest : public ::testing::Test {
 protected:
  PodManager& manager() { return world_.manager(); }
  absl::StatusOr<Pod> Set(const std::string& app, const std::string& name,
                          const std::string& value) {
    return manager().ChangeResources("web", app, {{{name, value}}, {}});
  }
  FakeWorld world_;
};

TEST_F(LiveChangesTest, LimitsOfAPodThatDoesNotRunAreOnlyRecorded) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  ASSERT_OK_AND_ASSIGN(pod, Set("", "memory", "64Mi"));
  EXPECT_EQ(pod.spec.resources.limits.at("memory"), "64Mi");
  EXPECT_EQ(world_.store.pods()[0].spec.resources, pod.spec.resources);
  EXPECT_THAT(world_.journal.lines(),
              Not(Contains(StartsWith("change_limits"))));
}

TEST_F(LiveChangesTest, LimitsOfAPodThatRunsAreItsCgroups) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(Set("", "memory", "64Mi"), IsOk());
  EXPECT_THAT(world_.journal.lines(),
              Contains("change_limits memory 67108864 cpu 0"));
  ASSERT_THAT(Set("", "cpu", "1500m"), IsOk());
  EXPECT_THAT(world_.journal.lines(),
              Contains("change_limits memory 67108864 cpu 1500"));
  ASSERT_OK_AND_ASSIGN(pod, Set("", "memory", "0"));
  EXPECT_THAT(world_.journal.lines(),
              Contains("change_limits memory 0 cpu 1500"));
  EXPECT_EQ(pod.spec.resources.limits.count("memory"), 0u);
  // Those of the only app are the pod's with room for its systemd.
  ASSERT_THAT(Set("app0", "memory", "64Mi"), IsOk());
  EXPECT_THAT(world_.journal.lines(),
              AllOf(Contains("change_limits memory 83886080 cpu 1500"),
                    Contains("app_limits app0 memory 67108864 cpu 0")));
}

TEST_F(LiveChangesTest, WhatIsRefusedIsAsBefore) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(Set("", "memory", "64Mi"), IsOk());
  EXPECT_THAT(Set("", "memory", "1Mi"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("spec.resources.limits[\"memory\"]")));
  EXPECT_THAT(Set("nope", "memory", "64Mi"),
              StatusIs(StatusCode::kNotFound, HasSubstr("\"nope\"")));
  world_.journal.Fail("app_limits", absl::InternalError("busy"));
  EXPECT_THAT(
      Set("app0", "memory", "32Mi"),
      StatusIs(StatusCode::kFailedPrecondition, HasSubstr("change limits: ")));
  EXPECT_THAT(manager().Get("web")->spec.containers[0].resources.limits,
              IsEmpty());
  EXPECT_THAT(world_.store.pods()[0].spec.containers[0].resources.limits,
              IsEmpty());
  EXPECT_EQ(manager().Get("web")->spec.resources.limits.at("memory"), "64Mi");
}

TEST_F(LiveChangesTest, APauseIsRecordedAndUndoneBeforeAStop) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Create(FakeWorld::Spec("web")));
  EXPECT_THAT(manager().Pause("web"),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_THAT(manager().Start("web"), IsOk());
  ASSERT_OK_AND_ASSIGN(pod, manager().Pause("web"));
  EXPECT_TRUE(pod.status.paused);
  EXPECT_TRUE(world_.store.pods()[0].status.paused);
  EXPECT_THAT(manager().Exec("web", {}),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("pod \"web\" is paused")));
  EXPECT_THAT(Set("app0", "memory", "64Mi"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("the pod is paused")));
  ASSERT_OK_AND_ASSIGN(pod, manager().Unpause("web"));
  EXPECT_FALSE(pod.status.paused);
  ASSERT_THAT(manager().Pause("web"), IsOk());
  world_.journal.Clear();
  ASSERT_OK_AND_ASSIGN(pod, manager().Stop("web", absl::ZeroDuration()));
  EXPECT_EQ(world_.journal.lines()[0], "thaw");
  EXPECT_FALSE(pod.status.paused);
}

TEST_F(LiveChangesTest, APodThatCannotBePausedIsNot) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  world_.journal.Fail("freeze", absl::DeadlineExceededError("stuck"));
  EXPECT_THAT(manager().Pause("web"),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("stuck")));
  EXPECT_FALSE(manager().Get("web")->status.paused);
  EXPECT_FALSE(world_.store.pods()[0].status.paused);
}

TEST_F(LiveChangesTest, AnAgentThatFindsAPausedPodAsksItNothing) {
  ASSERT_OK_AND_ASSIGN(Pod pod, manager().Run(FakeWorld::Spec("web")));
  ASSERT_THAT(manager().Pause("web"), IsOk());
  world_.journal.Clear();
  world_.Restart(/*kill=*/true);
  ASSERT_THAT(manager().Recover(), IsOk());
  EXPECT_THAT(world_.journal.lines(), Not(Contains(StartsWith("watch"))));
  EXPECT_TRUE(manager().Get("web")->status.paused);
  ASSERT_THAT(manager().Unpause("web"), IsOk());
  EXPECT_THAT(world_.journal.lines(),
              AllOf(Contains("thaw"), Contains(StartsWith("watch"))));
}

}  // namespace
}  // namespace davit
