#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/testing/test_pod.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::CountOpenFds;
using ::davit::testing::IsOk;
using ::davit::testing::ShellApp;
using ::davit::testing::StatusIs;
using ::davit::testing::TestPod;
using ::davit::testing::WhyNoPods;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using State = AppStatus::State;

bool IsTerminated(const AppStatus& status) {
  return status.state == State::kTerminated;
}

AppSpec WithRestart(AppSpec app, RestartPolicy policy) {
  app.restart = policy;
  return app;
}

std::vector<AppSpec> Apps() {
  AppSpec world =
      ShellApp("world", "id -u; id -g; id -G; pwd; umask; env | sort");
  world.argv[2] = absl::StrCat("{ ", world.argv[2],
                               "; } >/out/world.tmp; "
                               "mv /out/world.tmp /out/world; exec sleep 1000");
  world.uid = 1234;
  world.gid = 2345;
  world.supplementary_gids = {2345, 3456};
  world.working_dir = "/work/new dir";
  world.env = {"PATH=/bin", "ODD=a \"b\" $c %d \\ \n next", "EMPTY="};
  AppSpec frozen = ShellApp("frozen", "echo x >/file; echo x >/out/written");
  frozen.read_only_root = true;
  return {
      ShellApp("exit0", "exit 0"),
      ShellApp("exit3", "exit 3"),
      ShellApp("killed", "kill -9 $$"),
      // The same codes as davit-app's own failures, but the app's.
      ShellApp("exit127", "exit 127"),
      ShellApp("sleeper", "exec sleep 1000"),
      ShellApp("stubborn", "trap '' TERM; while :; do sleep 1; done"),
      WithRestart(ShellApp("always", "exit 4"), RestartPolicy::kAlways),
      WithRestart(ShellApp("onfail0", "exit 0"), RestartPolicy::kOnFailure),
      WithRestart(ShellApp("onfail1", "exit 1"), RestartPolicy::kOnFailure),
      // A clean end to systemd, a failure to us.
      WithRestart(ShellApp("onfailterm", "kill -TERM $$"),
                  RestartPolicy::kOnFailure),
      world,
      frozen,
  };
}

std::vector<std::string> Names(const std::vector<AppSpec>& apps) {
  std::vector<std::string> names;
  for (const AppSpec& app : apps) names.push_back(app.name);
  return names;
}

// One pod for all tests that leave it as it is.
class PodAppsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!WhyNoPods().empty()) return;
    absl::StatusOr<std::unique_ptr<TestPod>> pod = TestPod::Start(Apps());
    ASSERT_TRUE(pod.ok()) << pod.status();
    pod_ = pod->release();
    ASSERT_THAT(
        pod_->apps().StartAll(pod_->ref(), Names(Apps()), absl::Seconds(30)),
        IsOk());
  }
  static void TearDownTestSuite() {
    delete pod_;
    pod_ = nullptr;
  }
  void SetUp() override {
    if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
    ASSERT_NE(pod_, nullptr);
  }

  static AppStatus Await(const std::string& app,
                         const std::function<bool(const AppStatus&)>& wanted) {
    absl::StatusOr<AppStatus> status = pod_->AwaitStatus(app, wanted);
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? *status : AppStatus{};
  }

  static TestPod* pod_;
};

TestPod* PodAppsTest::pod_ = nullptr;

TEST_F(PodAppsTest, ExitZeroIsCompleted) {
  AppStatus status = Await("exit0", IsTerminated);
  EXPECT_EQ(status.state, State::kTerminated);
  EXPECT_EQ(status.reason, "Completed");
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_EQ(status.signal, 0);
  EXPECT_EQ(status.restarts, 0);
  EXPECT_EQ(status.main_pid, 0);
  EXPECT_GE(status.finished_at, status.started_at);
  EXPECT_LT(absl::Now() - status.started_at, absl::Minutes(1));
}

TEST_F(PodAppsTest, ExitCodeIsKept) {
  AppStatus status = Await("exit3", IsTerminated);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.message, "exited with 3");
}

TEST_F(PodAppsTest, SignalIsKept) {
  AppStatus status = Await("killed", IsTerminated);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.exit_code, 137);
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_EQ(status.message, "killed by SIGKILL");
}

TEST_F(PodAppsTest, AnAppsOwn127IsNoStartError) {
  AppStatus status = Await("exit127", IsTerminated);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.exit_code, 127);
}

TEST_F(PodAppsTest, AlwaysRestarts) {
  AppStatus status = Await("always", [](const AppStatus& s) {
    return s.restarts >= 1 && s.state == State::kWaiting &&
           s.finished_at != absl::InfinitePast();
  });
  EXPECT_EQ(status.reason, "CrashLoopBackOff");
  EXPECT_THAT(status.restarts, Ge(1));
  EXPECT_EQ(status.exit_code, 4);
}

TEST_F(PodAppsTest, OnFailureDoesNotRestartSuccess) {
  AppStatus status = Await("onfail0", IsTerminated);
  EXPECT_EQ(status.reason, "Completed");
  EXPECT_EQ(status.restarts, 0);
}

TEST_F(PodAppsTest, OnFailureRestartsFailure) {
  AppStatus status =
      Await("onfail1", [](const AppStatus& s) { return s.restarts >= 1; });
  EXPECT_THAT(status.restarts, Ge(1));
}

TEST_F(PodAppsTest, OnFailureRestartsAfterATerminatingSignal) {
  AppStatus status = Await("onfailterm", [](const AppStatus& s) {
    return s.restarts >= 1 && s.signal != 0;
  });
  EXPECT_THAT(status.restarts, Ge(1));
  EXPECT_EQ(status.signal, SIGTERM);
  EXPECT_EQ(status.exit_code, 143);
}

TEST_F(PodAppsTest, UserDirectoryAndEnvironmentAreExact) {
  absl::StatusOr<std::string> text;
  for (int i = 0; i < 100 && !text.ok(); ++i) {
    text = pod_->ReadAppFile("world", "/out/world");
    absl::SleepFor(absl::Milliseconds(20));
  }
  ASSERT_THAT(text, IsOk());
  // HOME is what the image's passwd says; PWD and SHLVL are the shell's own.
  EXPECT_EQ(
      *text,
      "1234\n2345\n2345 3456\n/work/new dir\n0022\n"
      " next\nEMPTY=\nHOME=/home/tester\nODD=a \"b\" $c %d \\ \nPATH=/bin\n"
      "PWD=/work/new dir\nSHLVL=1\n");
}

TEST_F(PodAppsTest, ReadOnlyRootCannotBeWritten) {
  AppStatus status = Await("frozen", IsTerminated);
  EXPECT_EQ(status.exit_code, 1);
  EXPECT_THAT(pod_->ReadAppFile("frozen", "/out/written"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PodAppsTest, StopSendsTheStopSignal) {
  AppStatus status = Await(
      "sleeper", [](const AppStatus& s) { return s.state == State::kRunning; });
  EXPECT_EQ(status.state, State::kRunning);
  EXPECT_THAT(status.main_pid, Gt(1));
  EXPECT_EQ(status.reason, "");
  ASSERT_OK_AND_ASSIGN(
      status, pod_->apps().Stop(pod_->ref(), "sleeper", absl::Seconds(10)));
  EXPECT_EQ(status.state, State::kTerminated);
  EXPECT_EQ(status.signal, SIGTERM);
  EXPECT_EQ(status.exit_code, 143);
  EXPECT_THAT(pod_->apps().Stop(pod_->ref(), "sleeper", absl::Seconds(10)),
              IsOk());
}

TEST_F(PodAppsTest, StopKillsAfterTheGrace) {
  absl::Time start = absl::Now();
  ASSERT_THAT(
      pod_->apps().Stop(pod_->ref(), "stubborn", absl::Milliseconds(500)),
      IsOk());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(500));
  AppStatus status = Await("stubborn", IsTerminated);
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_EQ(status.exit_code, 137);
}

TEST_F(PodAppsTest, UnknownAppsAreNotFound) {
  EXPECT_THAT(pod_->apps().GetStatus(pod_->ref(), "nobody"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nobody\"")));
  EXPECT_THAT(pod_->apps().Stop(pod_->ref(), "nobody", absl::Seconds(1)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nobody")));
}

TEST_F(PodAppsTest, SystemStateNamesFailedUnits) {
  Await("exit3", IsTerminated);
  ASSERT_OK_AND_ASSIGN(PodApps::SystemState state,
                       pod_->apps().GetSystemState(pod_->ref()));
  EXPECT_EQ(state.state, "degraded");
  EXPECT_THAT(state.failed_units, ::testing::Contains("app-exit3.service"));
  EXPECT_THAT(state.failed_units,
              ::testing::Not(::testing::Contains("app-exit0.service")));
}

TEST_F(PodAppsTest, AReusedPidIsNotTalkedTo) {
  PodRef stranger = pod_->ref();
  stranger.init.start_time += 1;
  EXPECT_THAT(pod_->apps().GetStatus(stranger, "exit0"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PodAppsTest, CallsLeaveNoDescriptors) {
  Await("exit0", IsTerminated);
  int before = CountOpenFds();
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(pod_->apps().GetStatus(pod_->ref(), "exit0"), IsOk());
  }
  EXPECT_EQ(CountOpenFds(), before);
}

// Statuses as they are reported.
class Recorder {
 public:
  PodApps::StatusCallback Callback() {
    return [this](const std::string&, const std::string& app,
                  const AppStatus& status) {
      absl::MutexLock lock(&mu_);
      seen_[app].push_back(status);
    };
  }
  bool Await(const std::string& app,
             const std::function<bool(const AppStatus&)>& wanted) {
    auto found = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      for (const AppStatus& status : seen_[app]) {
        if (wanted(status)) return true;
      }
      return false;
    };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&found), absl::Seconds(20));
  }
  size_t Count(const std::string& app) {
    absl::MutexLock lock(&mu_);
    return seen_[app].size();
  }

 private:
  absl::Mutex mu_;
  std::map<std::string, std::vector<AppStatus>> seen_ ABSL_GUARDED_BY(mu_);
};

TEST(PodAppsLifeTest, StartErrorNamesAppAndProgram) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  AppSpec missing = ShellApp("missing", "");
  missing.argv = {"/nope"};
  AppSpec plain = ShellApp("plain", "");
  plain.argv = {"/etc/passwd"};
  AppSpec greedy = ShellApp("greedy", "");
  greedy.add_capabilities = {"CAP_SYS_MODULE"};
  ASSERT_OK_AND_ASSIGN(
      auto pod, TestPod::Start({ShellApp("fine", "exec sleep 1000"), missing,
                                plain, greedy}));
  EXPECT_THAT(
      pod->apps().StartAll(pod->ref(), {"fine", "missing", "plain", "greedy"},
                           absl::Seconds(20)),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "app \"missing\" could not be started: execve(/nope): No such "
               "file or directory"));
  ASSERT_OK_AND_ASSIGN(AppStatus status,
                       pod->AwaitStatus("missing", IsTerminated));
  EXPECT_EQ(status.state, State::kTerminated);
  EXPECT_EQ(status.reason, "StartError");
  EXPECT_EQ(status.message, "execve(/nope): No such file or directory");
  EXPECT_EQ(status.exit_code, 127);
  ASSERT_OK_AND_ASSIGN(status, pod->AwaitStatus("plain", IsTerminated));
  EXPECT_EQ(status.reason, "StartError");
  EXPECT_EQ(status.message, "execve(/etc/passwd): Permission denied");
  EXPECT_EQ(status.exit_code, 126);
  ASSERT_OK_AND_ASSIGN(status, pod->AwaitStatus("greedy", IsTerminated));
  EXPECT_EQ(status.reason, "StartError");
  EXPECT_THAT(status.message, HasSubstr("CAP_SYS_MODULE"));
  EXPECT_EQ(status.exit_code, 125);
  ASSERT_OK_AND_ASSIGN(status, pod->apps().GetStatus(pod->ref(), "fine"));
  EXPECT_EQ(status.state, State::kRunning);
}

// What the pod's root may put where the node looks.
TEST(PodAppsLifeTest, HostileFilesNeitherBlockNorEscape) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(auto pod,
                       TestPod::Start({ShellApp("web", "exit 127"),
                                       ShellApp("box", "sleep 1000")}));
  ASSERT_THAT(
      pod->apps().StartAll(pod->ref(), {"web", "box"}, absl::Seconds(20)),
      IsOk());
  ASSERT_THAT(pod->AwaitStatus("web", IsTerminated), IsOk());
  struct Case {
    const char* script;
    const char* reason;
    const char* message;
  };
  // The node has /work or not; a pod's "/" is the pod's.
  for (const Case& c : std::vector<Case>{
           {"mkfifo web.error", "Error", "exited with 127"},
           {"ln -s /dev/zero web.error", "Error", "exited with 127"},
           {"mkdir web.error", "Error", "exited with 127"},
           {"ln -s ../../../../../../../../etc/hosts web.error", "StartError",
            "127.0.0.1 me?"},
           {"printf 'a\\033[2J\\nb' >web.error", "StartError", "a?[2J?b"}}) {
    SCOPED_TRACE(c.script);
    ASSERT_OK_AND_ASSIGN(
        testing::ExecResult result,
        testing::RunExec(*pod,
                         {.argv = {"sh", "-c",
                                   absl::StrCat("cd /run/davit/apps && rm -rf "
                                                "web.error && ",
                                                c.script)}}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    absl::Time start = absl::Now();
    ASSERT_OK_AND_ASSIGN(AppStatus status,
                         pod->apps().GetStatus(pod->ref(), "web"));
    EXPECT_LT(absl::Now() - start, absl::Seconds(5));
    EXPECT_EQ(status.reason, c.reason);
    EXPECT_EQ(status.message, c.message);
  }
}

// A process that serves systemd's socket is not systemd.
TEST(PodAppsLifeTest, OnlyPidOneIsTalkedTo) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(auto pod,
                       TestPod::Start({ShellApp("box", "sleep 1000")}));
  std::string path =
      absl::StrCat("/proc/", pod->ref().init.pid, "/root/run/systemd/private");
  std::string aside = path + ".aside";
  ASSERT_EQ(rename(path.c_str(), aside.c_str()), 0);
  UniqueFd impostor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(impostor.get(), reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)),
            0);
  ASSERT_EQ(listen(impostor.get(), 10), 0);
  EXPECT_THAT(pod->apps().GetStatus(pod->ref(), "box"),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("not to its PID 1")));
  impostor.Reset();
  EXPECT_THAT(pod->apps().GetStatus(pod->ref(), "box"),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("connect(/run/systemd/private)")));
  ASSERT_EQ(rename(aside.c_str(), path.c_str()), 0);
  EXPECT_THAT(pod->apps().GetStatus(pod->ref(), "box"), IsOk());
}

TEST(PodAppsLifeTest, WatchReportsEveryStepUntilThePodEnds) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  int before = CountOpenFds();
  {
    ASSERT_OK_AND_ASSIGN(
        auto pod,
        TestPod::Start({ShellApp("short", "sleep 0.3; exit 5"),
                        ShellApp("long", "exec sleep 1000"),
                        WithRestart(ShellApp("loop", "sleep 0.2; exit 6"),
                                    RestartPolicy::kAlways)}));
    std::vector<std::string> names = {"short", "long", "loop"};
    Recorder recorder;
    ASSERT_THAT(pod->apps().Watch(pod->ref(), names, recorder.Callback()),
                IsOk());
    auto is_waiting = [](const AppStatus& s) {
      return s.state == State::kWaiting && s.reason == "ContainerCreating";
    };
    auto is_running = [](const AppStatus& s) {
      return s.state == State::kRunning && s.main_pid > 1;
    };
    EXPECT_TRUE(recorder.Await("short", is_waiting));
    ASSERT_THAT(pod->apps().StartAll(pod->ref(), names, absl::Seconds(20)),
                IsOk());
    EXPECT_TRUE(recorder.Await("short", is_running));
    EXPECT_TRUE(recorder.Await("short", [](const AppStatus& s) {
      return s.state == State::kTerminated && s.exit_code == 5;
    }));
    EXPECT_TRUE(recorder.Await("long", is_running));
    EXPECT_TRUE(recorder.Await("loop", [](const AppStatus& s) {
      return s.reason == "CrashLoopBackOff" && s.exit_code == 6;
    }));
    // The end of the run before is remembered while the next one runs.
    EXPECT_TRUE(recorder.Await("loop", [](const AppStatus& s) {
      return s.state == State::kRunning && s.restarts >= 1 &&
             s.exit_code == 6 && s.finished_at != absl::InfinitePast();
    }));
    ASSERT_THAT(pod->Stop(), IsOk());
    // systemd stops the apps before it ends, and says so.
    EXPECT_TRUE(recorder.Await("long", [](const AppStatus& s) {
      return s.state == State::kTerminated && s.signal == SIGTERM;
    }));
    EXPECT_THAT(pod->apps().GetStatus(pod->ref(), "long"),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(pod->apps().Stop(pod->ref(), "long", absl::Seconds(1)),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(pod->apps().Watch(pod->ref(), names, recorder.Callback()),
                StatusIs(absl::StatusCode::kNotFound));
  }
  EXPECT_EQ(CountOpenFds(), before);
}

TEST(PodAppsLifeTest, UnwatchSilences) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(auto pod,
                       TestPod::Start({WithRestart(ShellApp("loop", "exit 1"),
                                                   RestartPolicy::kAlways)}));
  Recorder recorder;
  ASSERT_THAT(pod->apps().Watch(pod->ref(), {"loop"}, recorder.Callback()),
              IsOk());
  ASSERT_THAT(pod->apps().StartAll(pod->ref(), {"loop"}, absl::Seconds(20)),
              IsOk());
  ASSERT_TRUE(recorder.Await(
      "loop", [](const AppStatus& s) { return s.restarts >= 1; }));
  pod->apps().Unwatch(pod->ref().pod_id);
  size_t count = recorder.Count("loop");
  absl::SleepFor(absl::Milliseconds(1500));
  EXPECT_EQ(recorder.Count("loop"), count);
}

}  // namespace
}  // namespace davit
