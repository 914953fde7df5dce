// Pods with a user namespace: they boot, are healthy, and what is theirs is
// theirs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "runtime/base/file.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class UsernsPodTest : public PodFixture,
                      public ::testing::WithParamInterface<const char*> {};

TEST_P(UsernsPodTest, Runs) {
  BootRequest request = NewUsernsRequest(GetParam());
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"systemctl", "is-system-running", "--wait"}),
            "running")
      << Look(*pod, {"systemctl", "--failed", "--no-pager"}).out
      << Look(*pod, {"journalctl", "-b", "-p", "4", "--no-pager"}).out;
  EXPECT_EQ(
      ReadFile(absl::StrCat("/proc/", pod->init().pid, "/uid_map")).value(),
      absl::StrFormat("%10d %10d %10d\n", 0, request.userns.base, 65536));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(20))));
  EXPECT_EQ(exit.kind, PodExit::Kind::kPowerOff);
}

// UP1: what the contract's rows come to, once more with ids of its own.
TEST_P(UsernsPodTest, KeepsTheContract) {
  BootRequest request = NewUsernsRequest(GetParam());
  request.credentials["davit.test"] = "sesame";
  request.extra_ttys = 1;
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"uname", "-n"}), "testpod");
  EXPECT_THAT(MountOptionsOf(*pod, "/sys"), StartsWith("ro"));
  EXPECT_THAT(MountOptionsOf(*pod, "/proc/sys"), StartsWith("ro"));
  EXPECT_THAT(MountOptionsOf(*pod, "/"), HasSubstr("shared:"));
  EXPECT_EQ(OutOf(*pod, {"stat", "-c", "%u:%g %t:%T", "/dev/null"}), "0:0 1:3");
  EXPECT_EQ(
      OutOf(*pod, {"stat", "-c", "%A %t:%T", "/run/host/inaccessible/blk"}),
      "b--------- 0:0");
  EXPECT_EQ(OutOf(*pod, {"stat", "-c", "%u", "/dev/console", "/run/host/notify",
                         "/proc/kmsg", "/sys/fs/cgroup", "/"}),
            "0\n0\n0\n0\n0");
  // Its network is its own.
  EXPECT_TRUE(RunUnit(*pod,
                      "echo 1 >/proc/sys/net/ipv4/ip_forward && "
                      "ip link add v0 type veth && ip link set lo up")
                  .ExitedWith(0));
  EXPECT_EQ(RunUnit(*pod, "cat $CREDENTIALS_DIRECTORY/davit.test",
                    {"LoadCredential=davit.test"})
                .out,
            "sesame");
  SubprocessResult sandboxed =
      RunUnit(*pod, "id -u && echo x >/dev/null && cat /proc/self/status",
              {"PrivateDevices=yes", "ProtectSystem=strict", "ProtectHome=yes",
               "PrivateTmp=yes", "PrivateNetwork=yes", "DynamicUser=yes",
               "InaccessiblePaths=/srv", "SystemCallFilter=@system-service"});
  EXPECT_TRUE(sandboxed.ExitedWith(0)) << sandboxed.err;
  EXPECT_EQ(OutOf(*pod, {"systemctl", "is-active", "container-getty@1"}),
            "active");
  EXPECT_TRUE(RunUnit(*pod, "touch /run/host/unix-export/s").ExitedWith(0));
  EXPECT_TRUE(PathExists(request.runtime_dir + "/unix-export/s"));
}

INSTANTIATE_TEST_SUITE_P(Guests, UsernsPodTest,
                         ::testing::Values("machine", "machine-trixie"),
                         [](const auto& info) {
                           return absl::StrReplaceAll(info.param, {{"-", "_"}});
                         });

class UsernsTest : public PodFixture {};

TEST_F(UsernsTest, BootsTheStage1) {
  auto pod = StartReady(NewUsernsRequest("stage1"));
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"systemctl", "is-system-running", "--wait"}),
            "running");
}

TEST_F(UsernsTest, StartsInTheHostsNetwork) {
  BootRequest request = NewUsernsRequest();
  std::string netns = request.netns_path;
  request.netns_path.clear();
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"systemctl", "is-system-running", "--wait"}),
            "running");
  EXPECT_FALSE(RunUnit(*pod, "ip link set lo down").ExitedWith(0));
  ASSERT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
}

TEST_F(UsernsTest, FilesKeepTheirIdsOnDisk) {
  BootRequest request = NewUsernsRequest();
  std::string shared = request.state_dir + "/shared";
  ASSERT_THAT(MakeDirectories(shared), IsOk());
  request.binds = {{shared, "/srv/shared", false}};
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_TRUE(RunUnit(*pod,
                      "touch /root/x /srv/shared/x && chown 1000:1001 "
                      "/root/x && rm /etc/issue")
                  .ExitedWith(0));
  struct stat st = {};
  std::string upper = request.rootfs + "/../upper";
  ASSERT_EQ(stat((upper + "/root/x").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 1000u);
  EXPECT_EQ(st.st_gid, 1001u);
  ASSERT_EQ(stat((shared + "/x").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 0u);
  // For the machine they are somebody else's.
  ASSERT_EQ(stat((request.rootfs + "/root/x").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, request.userns.base + 1000);
  // A whiteout as without a user namespace: the layers can move.
  ASSERT_EQ(lstat((upper + "/etc/issue").c_str(), &st), 0);
  EXPECT_TRUE(S_ISCHR(st.st_mode));
  ASSERT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
  EXPECT_THAT(RemoveTree(shared), IsOk());
}

TEST_F(UsernsTest, ItsTreeIsLocked) {
  auto pod = StartReady(NewUsernsRequest());
  ASSERT_NE(pod, nullptr);
  for (const char* attempt :
       {"mount -o remount,bind,rw /sys", "mount -o remount,rw /sys",
        "mount -o remount,bind,rw /proc/sys", "umount /proc/sysrq-trigger",
        "umount /proc/timer_list", "umount /proc/sys",
        "umount /sys/fs/cgroup/memory", "mount -t proc proc /mnt",
        "mount -t sysfs sysfs /mnt", "mount -t debugfs d /mnt",
        "mknod /root/null c 1 3"}) {
    SubprocessResult result = RunUnit(*pod, attempt);
    EXPECT_FALSE(result.ExitedWith(0)) << attempt;
  }
  // So that the above fails for the right reason.
  EXPECT_TRUE(
      RunUnit(*pod, "mount -t tmpfs t /mnt && umount /mnt").ExitedWith(0));
}

TEST_F(UsernsTest, RefusesARootThatIsReadOnly) {
  BootRequest request = NewUsernsRequest();
  ASSERT_EQ(mount(nullptr, request.rootfs.c_str(), nullptr,
                  MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
            0);
  EXPECT_THAT(launcher_->Start(request, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is read-only")));
  EXPECT_THAT(Traces(request), Not(HasSubstr(cgroup_parent_)));
}

TEST_F(UsernsTest, TellsWhichStepFailed) {
  BootRequest request = NewUsernsRequest();
  request.files = {{.path = "/proc/version", .content = "no"}};
  EXPECT_THAT(launcher_->Start(request, {}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("write file /proc/version")));
  request.files.clear();
  request.init_argv = {"/does/not/exist"};
  EXPECT_THAT(launcher_->Start(request, {}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("start init: execve(/does/not/exist)")));
  request.init_argv.clear();
  std::string path = request.userns.path;
  request.userns.path = "/does/not/exist";
  EXPECT_THAT(
      launcher_->Start(request, {}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("join user namespace")));
  request.userns.path = path;
  request.userns.base = 1;
  EXPECT_THAT(
      launcher_->Start(request, {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("userns.base")));
}

TEST_F(UsernsTest, TwoPodsShareNoId) {
  BootRequest a = NewUsernsRequest(), b = NewUsernsRequest();
  EXPECT_NE(a.userns.base, b.userns.base);
  EXPECT_NE(a.userns.base, 0u);
}

}  // namespace
}  // namespace davit::testing
