// Starts that fail, at every step: the error names the step, and nothing is
// left of the attempt. And roots that mean harm.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FailureTest : public PodFixture {
 protected:
  // Starts `request`, which must fail so, and compares what is there before and
  // after.
  template <typename Matcher>
  void ExpectFailure(const BootRequest& request, absl::StatusCode code,
                     Matcher message) {
    std::string before = Traces(request);
    absl::StatusOr<std::unique_ptr<PodProcess>> pod =
        launcher_->Start(request, {});
    EXPECT_THAT(pod, StatusIs(code, message));
    EXPECT_EQ(Traces(request), before);
  }
};

TEST_F(FailureTest, NoInit) {
  BootRequest request = NewRequest("stage1");
  for (const char* path :
       {"/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"}) {
    std::filesystem::remove(request.rootfs + path);
  }
  ExpectFailure(request, absl::StatusCode::kFailedPrecondition,
                HasSubstr("root image has no systemd: none of"));
}

TEST_F(FailureTest, InvalidRequest) {
  BootRequest request = NewRequest("stage1");
  request.hostname = "no good";
  ExpectFailure(request, absl::StatusCode::kInvalidArgument,
                HasSubstr("hostname"));
}

TEST_F(FailureTest, MissingBindSource) {
  BootRequest request = NewRequest("stage1");
  request.binds = {{"/no/such/source", "/mnt"}};
  ExpectFailure(
      request, absl::StatusCode::kNotFound,
      AllOf(HasSubstr("boot pod: build file system tree: bind "
                      "/no/such/source to /mnt"),
            HasSubstr("open_tree"), HasSubstr("No such file or directory")));
}

TEST_F(FailureTest, ImpossibleBindTarget) {
  BootRequest request = NewRequest("stage1");
  request.binds = {{"/etc", "/etc/machine-id/x"}};
  ExpectFailure(request, absl::StatusCode::kFailedPrecondition,
                AllOf(HasSubstr("bind from host /etc/machine-id/x"),
                      HasSubstr("Not a directory")));
}

TEST_F(FailureTest, MissingNetns) {
  BootRequest request = NewRequest("stage1");
  request.netns_path = request.runtime_dir + "/no-netns";
  ExpectFailure(
      request, absl::StatusCode::kNotFound,
      AllOf(HasSubstr("join network namespace"), HasSubstr("/no-netns")));
  // A file that is no namespace.
  request.netns_path = "/etc/os-release";
  ExpectFailure(request, absl::StatusCode::kInvalidArgument,
                HasSubstr("setns(CLONE_NEWNET)"));
}

TEST_F(FailureTest, MissingRuntimeDirectory) {
  BootRequest request = NewRequest("stage1");
  request.runtime_dir += "/absent";
  ExpectFailure(request, absl::StatusCode::kNotFound, HasSubstr("/absent"));
}

TEST_F(FailureTest, MissingStateDirectory) {
  BootRequest request = NewRequest("stage1");
  request.state_dir += "/absent";
  ExpectFailure(request, absl::StatusCode::kNotFound,
                HasSubstr("/absent/console.log"));
}

TEST_F(FailureTest, InitThatCannotBeExecuted) {
  BootRequest request = NewRequest("stage1");
  request.init_argv = {"/no/such/init"};
  ExpectFailure(request, absl::StatusCode::kNotFound,
                HasSubstr("boot pod: start init: execve(/no/such/init): No "
                          "such file or directory"));
  request.init_argv = {"/etc"};
  ExpectFailure(request, absl::StatusCode::kPermissionDenied,
                HasSubstr("execve(/etc)"));
}

TEST_F(FailureTest, FileThatCannotBeWritten) {
  BootRequest request = NewRequest("stage1");
  request.files = {{.path = "/proc/x", .content = "y"}};
  ExpectFailure(request, absl::StatusCode::kNotFound,
                HasSubstr("write file /proc/x"));
  request.files = {{.path = "/run/host/x", .content = "y"}};
  absl::StatusOr<std::unique_ptr<PodProcess>> pod =
      launcher_->Start(request, {});
  EXPECT_THAT(pod.status().message(),
              AllOf(HasSubstr("write file /run/host/x"),
                    HasSubstr("Read-only file system")));
}

TEST_F(FailureTest, TooLittleMemoryForTheSetUp) {
  BootRequest request = NewRequest("stage1");
  request.limits.memory_max_bytes = 64 << 10;
  std::string before = Traces(request);
  absl::StatusOr<std::unique_ptr<PodProcess>> pod =
      launcher_->Start(request, {});
  EXPECT_FALSE(pod.ok());
  EXPECT_EQ(Traces(request), before);
}

TEST_F(FailureTest, ShimThatIsNone) {
  EXPECT_THAT(
      NewLauncher({.shim_path = "/no/such/shim"}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/shim")));
  ASSERT_OK_AND_ASSIGN(launcher_, NewLauncher({.shim_path = "/bin/true",
                                               .cgroup_parent = cgroup_parent_,
                                               .unified_dir = UnifiedDir()}));
  BootRequest request = NewRequest("stage1");
  ExpectFailure(request, absl::StatusCode::kAborted,
                HasSubstr("shim has ended without a word"));
  EXPECT_THAT(
      NewLauncher({.shim_path = "/bin/true", .cgroup_parent = "a/b"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cgroup_parent")));
}

// An image whose symlinks point out of it, at descriptors of the set-up and at
// the host.
TEST_F(FailureTest, SymlinksOfTheRootStayInside) {
  BootRequest request = NewRequest("stage1");
  // Not in /tmp, which is another one in the pod.
  std::string outside = absl::StrCat("/var/tmp/davit-test-", getpid());
  std::string victim = outside + "/victim";
  ASSERT_THAT(MakeDirectories(outside), IsOk());
  ASSERT_THAT(WriteFileAtomic(victim, "mine"), IsOk());
  // What "/out" means inside.
  ASSERT_THAT(MakeDirectories(request.rootfs + outside), IsOk());
  std::filesystem::create_symlink("../../../../../../.." + outside,
                                  request.rootfs + "/out");
  std::filesystem::create_symlink(victim, request.rootfs + "/abs");
  request.files = {{.path = "/out/victim", .content = "pod"},
                   {.path = "/abs", .content = "pod"}};
  std::unique_ptr<PodProcess> pod = StartReady(request);
  EXPECT_EQ(ReadFile(victim).value(), "mine");
  EXPECT_THAT(RemoveTree(outside), IsOk());
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(ReadFile(request.rootfs + victim).value(), "pod");
  // The link itself was replaced.
  EXPECT_TRUE(std::filesystem::is_regular_file(
      std::filesystem::symlink_status(request.rootfs + "/abs")));
  EXPECT_THAT(pod->Stop(Patience(absl::Seconds(30))), IsOk());
}

// Our own descriptors are in reach of /proc/self/fd while the tree is made.
TEST_F(FailureTest, MagicLinksAreNotFollowed) {
  BootRequest request = NewRequest("stage1");
  std::filesystem::create_symlink("/proc/self/fd/3", request.rootfs + "/magic");
  request.files = {{.path = "/magic/x", .content = "pod"}};
  std::string before = Traces(request);
  absl::StatusOr<std::unique_ptr<PodProcess>> pod =
      launcher_->Start(request, {});
  EXPECT_THAT(pod.status().message(), HasSubstr("write file /magic/x"));
  EXPECT_EQ(Traces(request), before);
}

}  // namespace
}  // namespace davit::testing
