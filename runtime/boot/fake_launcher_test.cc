#include "runtime/boot/fake_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

BootRequest Request(const std::string& id) {
  BootRequest request;
  request.pod_id = id;
  return request;
}

TEST(FakeLauncher, LivesThroughAPodsLife) {
  FakeLauncher launcher;
  int ready = 0, exits = 0;
  PodListener listener;
  listener.on_ready = [&] { ++ready; };
  listener.on_exit = [&](const PodExit&) { ++exits; };
  ASSERT_OK_AND_ASSIGN(auto pod, launcher.Start(Request("a"), listener));
  EXPECT_EQ(ready, 1);
  EXPECT_THAT(pod->WaitReady(absl::ZeroDuration()), IsOk());
  EXPECT_EQ(pod->phases().size(), 5u);
  EXPECT_THAT(pod->WaitExit(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(launcher.ListCgroups().value(), ElementsAre("a"));
  EXPECT_THAT(launcher.Start(Request("a"), {}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(absl::Seconds(3)));
  EXPECT_EQ(exit.kind, PodExit::Kind::kPowerOff);
  EXPECT_TRUE(exit.stop_requested);
  EXPECT_THAT(launcher.stops(), ElementsAre(absl::Seconds(3)));
  EXPECT_EQ(exits, 1);
  EXPECT_THAT(launcher.ListCgroups().value(), IsEmpty());
  EXPECT_THAT(pod->Usage(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(FakeLauncher, FollowsTheScript) {
  FakeLauncher launcher;
  launcher.FailNextStart(absl::FailedPreconditionError("no init"));
  EXPECT_THAT(launcher.Start(Request("a"), {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  launcher.HoldReady(true);
  ASSERT_OK_AND_ASSIGN(auto pod, launcher.Start(Request("a"), {}));
  EXPECT_THAT(pod->WaitReady(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  launcher.End("a", {.kind = PodExit::Kind::kExited, .code = 3});
  EXPECT_THAT(pod->WaitReady(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(pod->WaitExit(absl::ZeroDuration())->code, 3);
}

TEST(FakeLauncher, RecoversWhatASecondAgentFinds) {
  FakeLauncher launcher;
  { ASSERT_OK_AND_ASSIGN(auto pod, launcher.Start(Request("a"), {})); }
  EXPECT_TRUE(launcher.IsRunning("a"));
  int exits = 0;
  PodListener listener;
  listener.on_exit = [&](const PodExit&) { ++exits; };
  ASSERT_OK_AND_ASSIGN(auto pod, launcher.Recover("a", "", "", listener));
  launcher.End("a", {.kind = PodExit::Kind::kReboot});
  EXPECT_EQ(exits, 1);
  EXPECT_THAT(launcher.Recover("b", "", "", {}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(launcher.Destroy("a", ""), IsOk());
  EXPECT_THAT(launcher.Destroy("a", ""), IsOk());
  EXPECT_THAT(launcher.destroyed(), ElementsAre("a", "a"));
}

}  // namespace
}  // namespace davit
