#include "net/cni/exec.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "net/cni/fake_plugins.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class RecordingObserver : public CniObserver {
 public:
  void OnPluginCall(absl::string_view plugin, absl::string_view command,
                    absl::Duration took, const absl::Status& outcome) override {
    std::lock_guard<std::mutex> lock(mutex_);
    EXPECT_GT(took, absl::ZeroDuration());
    calls.push_back(absl::StrCat(plugin, " ", command, " ",
                                 absl::StatusCodeToString(outcome.code())));
  }
  std::vector<std::string> calls;

 private:
  std::mutex mutex_;
};

class CniExecTest : public ::testing::Test {
 protected:
  CniExec Exec(absl::Duration timeout = absl::Seconds(20)) {
    return CniExec({.plugin_dirs = {"/nonexistent", plugins_.path()},
                    .timeout = timeout,
                    .observer = &observer_});
  }
  absl::StatusOr<std::string> RunBody(const std::string& body) {
    plugins_.Install("fake", body);
    return Exec().Run("fake", "ADD", attachment_, "{\"x\":1}");
  }

  FakePlugins plugins_;
  RecordingObserver observer_;
  CniAttachment attachment_ = {
      .container_id = "cid",
      .netns = "/run/n",
      .ifname = "eth0",
      .args = {{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", "web"}}};
};

TEST_F(CniExecTest, PluginSeesTheProtocolAndNothingElse) {
  setenv("DAVIT_SECRET", "x", 1);
  ASSERT_OK_AND_ASSIGN(std::string out, RunBody("echo '{}'\n"));
  EXPECT_EQ(out, "{}\n");
  EXPECT_EQ(plugins_.Stdin("fake", "ADD"), "{\"x\":1}");
  std::string env = plugins_.Env("fake", "ADD");
  EXPECT_THAT(
      absl::StrSplit(env, '\n'),
      IsSupersetOf(
          {std::string("CNI_COMMAND=ADD"), std::string("CNI_CONTAINERID=cid"),
           std::string("CNI_NETNS=/run/n"), std::string("CNI_IFNAME=eth0"),
           std::string("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web"),
           "CNI_PATH=/nonexistent:" + plugins_.path(),
           std::string("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                       "/usr/bin:/sbin:/bin")}));
  EXPECT_THAT(env, Not(HasSubstr("DAVIT_SECRET")));
  EXPECT_THAT(observer_.calls, ::testing::ElementsAre("fake ADD OK"));
}

TEST_F(CniExecTest, ErrorObjectAndStderrAreShown) {
  EXPECT_THAT(
      RunBody("echo 'trace: here' >&2\n"
              "echo '{\"code\":7,\"msg\":\"no subnet\",\"details\":\"at x\"}'\n"
              "exit 1\n"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               absl::StrCat("plugin \"fake\" (", plugins_.path(),
                            "/fake) ADD: code 7: no subnet; at x; "
                            "stderr: trace: here")));
  EXPECT_THAT(observer_.calls,
              ::testing::ElementsAre("fake ADD INVALID_ARGUMENT"));
}

TEST_F(CniExecTest, TryAgainLaterIsUnavailable) {
  EXPECT_THAT(
      RunBody(FakePlugins::Fail("ADD", 11, "busy")),
      StatusIs(absl::StatusCode::kUnavailable, EndsWith("ADD: code 11: busy")));
}

TEST_F(CniExecTest, GarbageIsShownEscapedAndBounded) {
  EXPECT_THAT(RunBody("printf 'panic:\\n\\001'; exit 2\n"),
              StatusIs(absl::StatusCode::kInternal,
                       EndsWith("ADD: exited with 2; stdout: panic:\\n\\x01")));
  EXPECT_THAT(RunBody("head -c 100000 /dev/zero | tr '\\0' x; exit 2\n"),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("xxx… (97952 more bytes)"),
                             SizeIs(::testing::Lt(4000)))));
}

TEST_F(CniExecTest, SilentFailureAndSignal) {
  EXPECT_THAT(RunBody("exit 3\n"),
              StatusIs(absl::StatusCode::kInternal,
                       EndsWith("ADD: exited with 3 with no error message")));
  EXPECT_THAT(
      RunBody("kill -9 $$\n"),
      StatusIs(absl::StatusCode::kInternal, HasSubstr("killed by signal 9")));
}

TEST_F(CniExecTest, TimeoutKillsTheGroup) {
  plugins_.Install("fake", absl::StrCat("sleep 1000 & echo $! > ",
                                        plugins_.path(), "/child; wait\n"));
  absl::Time start = absl::Now();
  EXPECT_THAT(Exec(absl::Seconds(2)).Run("fake", "ADD", attachment_, "{}"),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(StartsWith("plugin \"fake\""), HasSubstr("2s"))));
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  ASSERT_OK_AND_ASSIGN(std::string child, ReadFile(plugins_.path() + "/child"));
  absl::StripAsciiWhitespace(&child);
  // Dead, or a zombie that whoever inherits orphans has not reaped yet.
  std::string stat = ReadFile("/proc/" + child + "/stat").value_or(") Z");
  EXPECT_THAT(stat, HasSubstr(") Z")) << child;
}

TEST_F(CniExecTest, TenMegabytesAreTooMuch) {
  EXPECT_THAT(RunBody("head -c 10000000 /dev/zero\n"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("printed more than")));
}

TEST_F(CniExecTest, PluginThatDoesNotReadItsInput) {
  ASSERT_THAT(WriteFileAtomic(plugins_.path() + "/deaf",
                              "#!/bin/sh\nexec <&-\necho '{}'\n", 0755),
              IsOk());
  EXPECT_THAT(Exec().Run("deaf", "ADD", attachment_, std::string(1 << 20, ' ')),
              IsOk());
}

TEST_F(CniExecTest, MissingPluginNamesTypeAndDirectories) {
  EXPECT_THAT(Exec().Run("nope", "ADD", attachment_, "{}"),
              StatusIs(absl::StatusCode::kNotFound,
                       absl::StrCat("plugin \"nope\" is in none of the "
                                    "directories [/nonexistent, ",
                                    plugins_.path(), "]")));
  EXPECT_THAT(observer_.calls, ::testing::IsEmpty()) << "nothing was run";
}

TEST_F(CniExecTest, FirstDirectoryWinsAndDirectoriesAreNoPlugins) {
  TempDir first;
  ASSERT_THAT(MakeDirectories(first / "fake"), IsOk());
  plugins_.Install("fake", "echo '{}'\n");
  CniExec exec({.plugin_dirs = {first.path(), plugins_.path()}});
  EXPECT_EQ(*exec.Find("fake"), plugins_.path() + "/fake");
  plugins_.Install("other", "");
  ASSERT_THAT(WriteFileAtomic(first / "other", "#!/bin/sh\n", 0755), IsOk());
  EXPECT_EQ(*exec.Find("other"), first / "other");
}

TEST_F(CniExecTest, WhatCannotBeExecutedIsToBeFixedOnTheNode) {
  ASSERT_THAT(WriteFileAtomic(plugins_.path() + "/plain", "x", 0644), IsOk());
  EXPECT_THAT(Exec().Run("plain", "ADD", attachment_, "{}"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/plain is not executable")));
  ASSERT_THAT(
      WriteFileAtomic(plugins_.path() + "/lost", "#!/nonexistent/sh\n", 0755),
      IsOk());
  EXPECT_THAT(
      Exec().Run("lost", "ADD", attachment_, "{}"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(StartsWith("plugin \"lost\""), HasSubstr("execve("))));
}

TEST_F(CniExecTest, WaitsForAPluginThatIsBeingWritten) {
  plugins_.Install("fake", "echo '{}'\n");
  UniqueFd writer(
      open((plugins_.path() + "/fake").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writer.valid());
  std::thread closer([&] {
    absl::SleepFor(absl::Milliseconds(100));
    writer.Reset();
  });
  EXPECT_THAT(Exec().Run("fake", "ADD", attachment_, "{}"), IsOk());
  closer.join();
}

TEST_F(CniExecTest, GivesUpOnAPluginThatStaysOpen) {
  plugins_.Install("fake", "echo '{}'\n");
  UniqueFd writer(
      open((plugins_.path() + "/fake").c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_THAT(Exec().Run("fake", "ADD", attachment_, "{}"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Text file busy")));
}

}  // namespace
}  // namespace davit
