#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/testing/test_pod.h"
#include "runtime/base/file.h"
#include "runtime/sandbox/capabilities.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::CountOpenFds;
using ::davit::testing::ExecResult;
using ::davit::testing::Finish;
using ::davit::testing::IsOk;
using ::davit::testing::RunExec;
using ::davit::testing::ShellApp;
using ::davit::testing::StatusIs;
using ::davit::testing::TestPod;
using ::davit::testing::WhyNoPods;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kShowStatusAndStay[] =
    "cat /proc/self/status >/out/tmp; mv /out/tmp /out/status; "
    "exec sleep 1000";

std::vector<AppSpec> Apps() {
  AppSpec root = ShellApp("root", kShowStatusAndStay);
  root.env = {"PATH=/nowhere:/bin", "COLOR=red"};
  AppSpec user = ShellApp("user", kShowStatusAndStay);
  user.uid = 1234;
  user.gid = 2345;
  user.supplementary_gids = {3456};
  user.working_dir = "/out";
  user.no_new_privileges = true;
  AppSpec changed = ShellApp("changed", kShowStatusAndStay);
  changed.add_capabilities = {"CAP_SYS_NICE"};
  changed.drop_capabilities = {"CAP_CHOWN"};
  AppSpec privileged = ShellApp("privileged", kShowStatusAndStay);
  privileged.privileged = true;
  return {root, user, changed, privileged, ShellApp("over", "exit 0")};
}

class ExecTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!WhyNoPods().empty()) return;
    absl::StatusOr<std::unique_ptr<TestPod>> pod = TestPod::Start(Apps());
    ASSERT_TRUE(pod.ok()) << pod.status();
    pod_ = pod->release();
    ASSERT_THAT(
        pod_->apps().StartAll(pod_->ref(),
                              {"root", "user", "changed", "privileged", "over"},
                              absl::Seconds(30)),
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

  static ExecRequest Shell(const std::string& script,
                           const std::string& app = "root") {
    ExecRequest request;
    request.app = app;
    request.argv = {"sh", "-c", script};
    return request;
  }

  static TestPod* pod_;
};

TestPod* ExecTest::pod_ = nullptr;

TEST_F(ExecTest, ExitCodesAndSignalsAreExact) {
  for (auto [script, code] :
       std::vector<std::pair<std::string, int>>{{"exit 0", 0},
                                                {"exit 3", 3},
                                                {"exit 127", 127},
                                                {"exit 255", 255},
                                                {"kill -9 $$", 137},
                                                {"kill -TERM $$", 143}}) {
    ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod_, Shell(script)));
    EXPECT_EQ(result.exit_code, code) << script;
  }
}

TEST_F(ExecTest, StdoutAndStderrAreApart) {
  ASSERT_OK_AND_ASSIGN(ExecResult result,
                       RunExec(*pod_, Shell("echo out; echo err >&2")));
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST_F(ExecTest, StdinReachesTheCommandWhole) {
  std::string input;
  for (int i = 0; i < 3'000'000; ++i) {
    input.push_back(static_cast<char>(i * 131 >> 3));
  }
  ExecRequest request;
  request.app = "root";
  request.argv = {"cat"};
  request.stdin_open = true;
  ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod_, request, input));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.out == input) << result.out.size();
}

TEST_F(ExecTest, StdinIsNullUnlessOpen) {
  ASSERT_OK_AND_ASSIGN(ExecResult result,
                       RunExec(*pod_, Shell("cat; readlink /proc/self/fd/0")));
  EXPECT_EQ(result.out, "/dev/null\n");
}

TEST_F(ExecTest, EnvironmentIsTheAppsAndMore) {
  ExecRequest request = Shell("echo $COLOR $SHAPE $HOME $PATH");
  ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod_, request));
  EXPECT_EQ(result.out, "red /root /nowhere:/bin\n");
  request.env = {"COLOR=blue", "SHAPE=round"};
  ASSERT_OK_AND_ASSIGN(result, RunExec(*pod_, request));
  EXPECT_EQ(result.out, "blue round /root /nowhere:/bin\n");
}

TEST_F(ExecTest, MissingCommandIsNotFound) {
  ExecRequest request;
  request.app = "root";
  request.argv = {"no-such-thing"};
  EXPECT_THAT(
      pod_->apps().Exec(pod_->ref(), request).status(),
      StatusIs(absl::StatusCode::kNotFound,
               "exec \"no-such-thing\" in app \"root\": \"no-such-thing\" is "
               "not in $PATH (/nowhere:/bin)"));
  request.argv = {"/no/such"};
  EXPECT_THAT(pod_->apps().Exec(pod_->ref(), request).status(),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("execve(/no/such): No such file")));
  request.argv = {"/etc/passwd"};
  EXPECT_THAT(pod_->apps().Exec(pod_->ref(), request).status(),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("execve(/etc/passwd)")));
  request.argv = {};
  EXPECT_THAT(pod_->apps().Exec(pod_->ref(), request).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("argv")));
}

TEST_F(ExecTest, AppMustRun) {
  ASSERT_THAT(pod_->AwaitStatus("over",
                                [](const AppStatus& s) {
                                  return s.state ==
                                         AppStatus::State::kTerminated;
                                }),
              IsOk());
  EXPECT_THAT(pod_->apps().Exec(pod_->ref(), Shell("exit 0", "over")).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "app \"over\" is not running"));
  EXPECT_THAT(pod_->apps().Exec(pod_->ref(), Shell("exit 0", "none")).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"none\"")));
}

// What a process may do, of /proc/PID/status.
std::string Rights(absl::string_view status) {
  std::string rights;
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    for (const char* name : {"Uid", "Gid", "Groups", "Cap", "NoNewPrivs",
                             "Seccomp", "Umask", "NSpid", "SigIgn", "SigBlk"}) {
      if (absl::StartsWith(line, name)) absl::StrAppend(&rights, line, "\n");
    }
  }
  // The last number of NSpid is the process's own.
  std::vector<std::string> lines = absl::StrSplit(rights, '\n');
  for (std::string& line : lines) {
    if (absl::StartsWith(line, "NSpid")) line = "NSpid";
  }
  return absl::StrJoin(lines, "\n");
}

TEST_F(ExecTest, CommandsHaveTheRightsOfTheirApp) {
  for (const std::string& app :
       {std::string("root"), std::string("user"), std::string("changed"),
        std::string("privileged")}) {
    absl::StatusOr<std::string> status;
    for (int i = 0; i < 100; ++i) {
      status = pod_->ReadAppFile(app, "/out/status");
      if (status.ok()) break;
      absl::SleepFor(absl::Milliseconds(20));
    }
    ASSERT_THAT(status, IsOk()) << app;
    ASSERT_OK_AND_ASSIGN(
        ExecResult result,
        RunExec(*pod_, Shell("exec cat /proc/self/status", app)));
    EXPECT_EQ(Rights(result.out), Rights(*status)) << app;
  }
}

TEST_F(ExecTest, RightsAreThoseOfTheSpec) {
  auto line = [](uint64_t set) { return absl::StrFormat("%016x", set); };
  ASSERT_OK_AND_ASSIGN(ExecResult root,
                       RunExec(*pod_, Shell("cat /proc/self/status")));
  std::string set = line(DefaultAppCapabilities());
  EXPECT_THAT(root.out, HasSubstr("CapInh:\t0000000000000000\nCapPrm:\t" + set +
                                  "\nCapEff:\t" + set + "\nCapBnd:\t" + set +
                                  "\nCapAmb:\t0000000000000000\n"));
  EXPECT_THAT(root.out, HasSubstr("Seccomp:\t2\n"));
  EXPECT_THAT(root.out, HasSubstr("NoNewPrivs:\t0\n"));

  ASSERT_OK_AND_ASSIGN(ExecResult user,
                       RunExec(*pod_, Shell("cat /proc/self/status", "user")));
  EXPECT_THAT(user.out, HasSubstr("CapPrm:\t0000000000000000\n"
                                  "CapEff:\t0000000000000000\nCapBnd:\t" +
                                  set));
  EXPECT_THAT(user.out, HasSubstr("Uid:\t1234\t1234\t1234\t1234\n"));
  EXPECT_THAT(user.out, HasSubstr("Groups:\t3456 \n"));
  EXPECT_THAT(user.out, HasSubstr("NoNewPrivs:\t1\n"));

  ASSERT_OK_AND_ASSIGN(
      ExecResult changed,
      RunExec(*pod_, Shell("cat /proc/self/status", "changed")));
  uint64_t wanted =
      (DefaultAppCapabilities() | uint64_t{1} << 23) & ~uint64_t{1};
  EXPECT_THAT(changed.out, HasSubstr("CapEff:\t" + line(wanted)));
}

TEST_F(ExecTest, SeesTheAppsWorldAndNothingElse) {
  ASSERT_OK_AND_ASSIGN(
      ExecResult result,
      RunExec(*pod_, Shell("ls /; ls /dev; cat /proc/self/cgroup /etc/hosts; "
                           "echo $(cat /proc/kcore | wc -c)")));
  EXPECT_THAT(result.out, StartsWith("bin\ndev\netc\nout\nproc\nsys\n"));
  EXPECT_THAT(result.out,
              HasSubstr("fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr"
                        "\nstdin\nstdout\ntty\nurandom\nzero\n"));
  EXPECT_THAT(result.out,
              HasSubstr("0::/system.slice/app-root.service\n127.0.0.1 me\n"));
  EXPECT_THAT(result.out, ::testing::EndsWith("\n0\n"));
}

TEST_F(ExecTest, ForbiddenThingsAreRefused) {
  for (const char* script :
       {"echo 1 >/proc/sys/vm/drop_caches", "mount -t tmpfs x /out",
        "mknod /out/loop b 7 0 && cat /out/loop",
        "echo 1 >/sys/kernel/mm/ksm/run", "mkdir /sys/fs/cgroup/unified/x",
        "echo x >/etc/hosts"}) {
    ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod_, Shell(script)));
    EXPECT_NE(result.exit_code, 0) << script;
  }
}

TEST_F(ExecTest, TerminalHasSizeNameAndOwner) {
  ExecRequest request = Shell(
      "test -t 0 && test -t 1 && test -t 2 && tty; stty size; echo $TERM; "
      "ls -ln $(tty) | { read mode n uid rest; echo $uid; }; "
      "echo err >&2",
      "user");
  request.tty = true;
  request.rows = 33;
  request.columns = 111;
  ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod_, request));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              ::testing::MatchesRegex(
                  "/dev/pts/[0-9]+\r\n33 111\r\nxterm\r\n1234\r\nerr\r\n"));
  EXPECT_EQ(result.err, "");
}

TEST_F(ExecTest, TerminalTakesInputAndIsResized) {
  ExecRequest request = Shell("read line; echo got $line; stty size");
  request.tty = true;
  request.stdin_open = true;
  ASSERT_OK_AND_ASSIGN(auto session, pod_->apps().Exec(pod_->ref(), request));
  EXPECT_EQ(session->stderr_fd(), -1);
  EXPECT_THAT(session->Resize(50, 200), IsOk());
  EXPECT_THAT(session->Resize(100000, 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_THAT(WriteAll(session->stdin_fd(), "hello\n"), IsOk());
  ASSERT_OK_AND_ASSIGN(ExecResult result, Finish(*session));
  EXPECT_THAT(result.out, HasSubstr("got hello\r\n50 200\r\n"));
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(ExecTest, TerminalIsAControllingOne) {
  ExecRequest request = Shell("exec sleep 1000");
  request.tty = true;
  request.stdin_open = true;
  ASSERT_OK_AND_ASSIGN(auto session, pod_->apps().Exec(pod_->ref(), request));
  ASSERT_THAT(WriteAll(session->stdin_fd(), "\x03"), IsOk());  // ^C
  ASSERT_OK_AND_ASSIGN(int code, session->Wait(absl::Seconds(10)));
  EXPECT_EQ(code, 128 + SIGINT);
}

TEST_F(ExecTest, ResizeWithoutTerminalFails) {
  ASSERT_OK_AND_ASSIGN(auto session,
                       pod_->apps().Exec(pod_->ref(), Shell("exit 0")));
  EXPECT_THAT(session->Resize(1, 1),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ExecTest, DescriptorsDoNotBlock) {
  ExecRequest request = Shell("sleep 1000");
  request.stdin_open = true;
  for (bool tty : {false, true}) {
    request.tty = tty;
    ASSERT_OK_AND_ASSIGN(auto session, pod_->apps().Exec(pod_->ref(), request));
    for (int fd :
         {session->stdin_fd(), session->stdout_fd(), session->stderr_fd()}) {
      if (fd < 0) continue;
      EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
      EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
  }
}

TEST_F(ExecTest, KillSignalsTheCommand) {
  ASSERT_OK_AND_ASSIGN(
      auto session,
      pod_->apps().Exec(
          pod_->ref(),
          Shell(
              "trap 'exit 42' USR1; echo ready; while :; do sleep 0.1; done")));
  pollfd out = {session->stdout_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&out, 1, 10000), 1);
  EXPECT_THAT(session->Wait(absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(session->Kill(0), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(session->Kill(SIGUSR1), IsOk());
  pollfd wait = {session->wait_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 10000), 1);
  ASSERT_OK_AND_ASSIGN(int code, session->Wait(absl::ZeroDuration()));
  EXPECT_EQ(code, 42);
  // Again: the same.
  ASSERT_OK_AND_ASSIGN(code, session->Wait(absl::ZeroDuration()));
  EXPECT_EQ(code, 42);
}

int CountProcesses(TestPod& pod, const std::string& marker) {
  absl::StatusOr<ExecResult> result = RunExec(
      pod,
      {.app = "root",
       .argv = {"sh", "-c",
                absl::StrCat("grep -al '", marker.substr(0, 4), "[",
                             marker.substr(4),
                             "]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l")}});
  int count = -1;
  if (result.ok()) {
    EXPECT_TRUE(absl::SimpleAtoi(result->out, &count)) << result->out;
  }
  return count;
}

TEST_F(ExecTest, EndingTheSessionKillsAllOfTheCommand) {
  {
    ASSERT_OK_AND_ASSIGN(
        auto session,
        pod_->apps().Exec(pod_->ref(), Shell("trap '' HUP TERM; sleep 98765 & "
                                             "sleep 98765 & echo x; wait")));
    pollfd out = {session->stdout_fd(), POLLIN, 0};
    ASSERT_EQ(poll(&out, 1, 10000), 1);
    EXPECT_GE(CountProcesses(*pod_, "98765"), 2);
  }
  int left = -1;
  for (int i = 0; i < 100 && left != 0; ++i) {
    left = CountProcesses(*pod_, "98765");
  }
  EXPECT_EQ(left, 0);
}

TEST_F(ExecTest, TenAtOnce) {
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<ExecResult>> results(10);
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([i, &results] {
      results[i] = RunExec(
          *pod_, Shell(absl::StrCat("seq 1 2000; echo ", i, " >&2; exit ", i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string sequence;
  for (int i = 1; i <= 2000; ++i) absl::StrAppend(&sequence, i, "\n");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(results[i].ok()) << results[i].status();
    EXPECT_EQ(results[i]->exit_code, i);
    EXPECT_EQ(results[i]->out, sequence);
    EXPECT_EQ(results[i]->err, absl::StrCat(i, "\n"));
  }
}

TEST_F(ExecTest, InThePodItself) {
  ASSERT_OK_AND_ASSIGN(
      ExecResult result,
      RunExec(*pod_, Shell("id -u; cat /proc/1/comm; ls /run/davit/apps", "")));
  EXPECT_THAT(result.out, StartsWith("0\nsystemd\n"));
  EXPECT_THAT(result.out, HasSubstr("root.plan\n"));
}

TEST_F(ExecTest, LeavesNothingBehind) {
  ASSERT_THAT(RunExec(*pod_, Shell("exit 1")), IsOk());
  int before = CountOpenFds();
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(RunExec(*pod_, Shell("exit 1")), IsOk());
  }
  EXPECT_EQ(CountOpenFds(), before);
  // The transient units unload themselves, failed or not.
  ASSERT_OK_AND_ASSIGN(PodApps::SystemState state,
                       pod_->apps().GetSystemState(pod_->ref()));
  EXPECT_THAT(state.failed_units,
              ::testing::Not(::testing::Contains(StartsWith("exec-"))));
}

TEST(ExecLifeTest, EndsWithItsAppAndItsPod) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(auto pod,
                       TestPod::Start({ShellApp("web", "exec sleep 1000")}));
  ASSERT_THAT(pod->apps().StartAll(pod->ref(), {"web"}, absl::Seconds(20)),
              IsOk());
  ExecRequest request;
  request.app = "web";
  request.argv = {"sh", "-c", "trap '' TERM; while :; do sleep 1; done"};
  ASSERT_OK_AND_ASSIGN(auto in_app, pod->apps().Exec(pod->ref(), request));
  request.app = "";
  ASSERT_OK_AND_ASSIGN(auto in_pod, pod->apps().Exec(pod->ref(), request));
  ASSERT_THAT(pod->apps().Stop(pod->ref(), "web", absl::Seconds(5)), IsOk());
  ASSERT_OK_AND_ASSIGN(int code, in_app->Wait(absl::Seconds(10)));
  EXPECT_EQ(code, 137);
  ASSERT_THAT(pod->Stop(), IsOk());
  // SIGKILL, told by davit-app, or by its silence.
  absl::StatusOr<int> end = in_pod->Wait(absl::Seconds(10));
  if (end.ok()) {
    EXPECT_EQ(*end, 137);
  } else {
    EXPECT_THAT(end, StatusIs(absl::StatusCode::kUnavailable));
  }
}

}  // namespace
}  // namespace davit
