#include "runtime/app/fake_pod_apps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;

const PodRef kPod = {.pod_id = "pod-1", .init = {}};

TEST(FakePodAppsTest, StartsStopsAndReports) {
  FakePodApps apps;
  std::vector<std::string> seen;
  ASSERT_THAT(apps.Watch(kPod, {"web"},
                         [&](const std::string& pod, const std::string& app,
                             const AppStatus& status) {
                           seen.push_back(pod + app + status.reason);
                         }),
              IsOk());
  EXPECT_TRUE(apps.IsWatched("pod-1"));
  ASSERT_THAT(apps.StartAll(kPod, {"web"}, absl::Seconds(1)), IsOk());
  ASSERT_OK_AND_ASSIGN(AppStatus status, apps.GetStatus(kPod, "web"));
  EXPECT_EQ(status.state, AppStatus::State::kRunning);
  ASSERT_THAT(apps.Stop(kPod, "web", absl::Seconds(3)), IsOk());
  ASSERT_OK_AND_ASSIGN(status, apps.GetStatus(kPod, "web"));
  EXPECT_EQ(status.exit_code, 143);
  apps.Unwatch("pod-1");
  apps.SetStatus("pod-1", "web", {});
  EXPECT_THAT(seen, ElementsAre("pod-1web", "pod-1webError"));
  EXPECT_THAT(apps.Calls(),
              ElementsAre("Watch pod-1 web", "StartAll pod-1 web",
                          "GetStatus pod-1 web", "Stop pod-1 web 3s",
                          "GetStatus pod-1 web", "Unwatch pod-1"));
}

TEST(FakePodAppsTest, FailsOnceWhenAsked) {
  FakePodApps apps;
  apps.FailNext("StartAll", absl::FailedPreconditionError("no"));
  EXPECT_THAT(apps.StartAll(kPod, {"a"}, absl::Seconds(1)),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no"));
  EXPECT_THAT(apps.StartAll(kPod, {"a"}, absl::Seconds(1)), IsOk());
  EXPECT_THAT(apps.GetStatus(kPod, "b"), StatusIs(absl::StatusCode::kNotFound));
}

std::string ReadToEnd(int fd) {
  std::string result;
  char buffer[100];
  for (;;) {
    ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size == 0) return result;
    if (size > 0) result.append(buffer, static_cast<size_t>(size));
  }
}

TEST(FakePodAppsTest, ExecsWhatWasScripted) {
  FakePodApps apps;
  apps.SetExec("ls", {.out = "file\n", .err = "warning\n", .exit_code = 2});
  ASSERT_OK_AND_ASSIGN(auto session,
                       apps.Exec(kPod, {.app = "web", .argv = {"ls", "-l"}}));
  EXPECT_EQ(ReadToEnd(session->stdout_fd()), "file\n");
  EXPECT_EQ(ReadToEnd(session->stderr_fd()), "warning\n");
  ASSERT_OK_AND_ASSIGN(int code, session->Wait(absl::Seconds(5)));
  EXPECT_EQ(code, 2);
  EXPECT_THAT(apps.Exec(kPod, {.app = "web", .argv = {"other"}}).status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(FakePodAppsTest, ExecsACat) {
  FakePodApps apps;
  apps.SetExec("cat", {.echo_stdin = true});
  ASSERT_OK_AND_ASSIGN(
      auto session,
      apps.Exec(kPod, {.app = "web", .argv = {"cat"}, .stdin_open = true}));
  ASSERT_THAT(WriteAll(session->stdin_fd(), "meow"), IsOk());
  EXPECT_THAT(session->Wait(absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  session->CloseStdin();
  EXPECT_EQ(ReadToEnd(session->stdout_fd()), "meow");
  ASSERT_OK_AND_ASSIGN(int code, session->Wait(absl::Seconds(5)));
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace davit
