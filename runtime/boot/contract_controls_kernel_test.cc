// Negative controls: what becomes of a machine whose manager does not keep a
// point of the Container Interface. They show that the checks of the other
// contract tests can fail.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = FsStep::Kind;

class ContractControlsTest : public PodFixture {
 protected:
  // How a service that runs already sees "/mnt" after it was mounted on.
  std::string SeenByAService(const PodProcess& pod) {
    OutOf(pod, {"systemd-run", "--quiet", "--unit=watcher", "-p",
                "PrivateTmp=yes", "sleep", "1000"});
    std::string pid = OutOf(
        pod, {"systemctl", "show", "-p", "MainPID", "--value", "watcher"});
    OutOf(pod, {"mount", "-t", "tmpfs", "davit-late", "/mnt"});
    return OutOf(pod, {"cat", absl::StrCat("/proc/", pid, "/mountinfo")});
  }
  // A machine of which systemd says udev's condition: "yes" or "no".
  std::string UdevCondition(const PodProcess& pod) {
    OutOf(pod, {"systemctl", "start", "systemd-udevd"});
    return OutOf(pod, {"systemctl", "show", "systemd-udevd", "-p",
                       "ConditionResult", "--value"});
  }
  std::string Console(const BootRequest& request) {
    return ReadFile(request.state_dir + "/console.log").value_or("");
  }
};

constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }

TEST_F(ContractControlsTest, UdevStaysOffWhileSysIsReadOnly) {  // EE4, NO7
  BootRequest request = NewRequest("machine-trixie");
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(UdevCondition(*pod), "no");
  EXPECT_EQ(Look(*pod, {"systemctl", "is-active", "systemd-udevd"}).out,
            "inactive\n");
}

TEST_F(ContractControlsTest, UdevRunsIfSysIsWritable) {
  BootRequest request = NewRequest("machine-trixie");
  ASSERT_OK_AND_ASSIGN(auto pod, StartEdited(request, [](LaunchPlan& plan) {
                         std::erase_if(plan.steps, [](const FsStep& step) {
                           return step.kind == Kind::kReadOnly &&
                                  step.target == "/sys";
                         });
                       }));
  ASSERT_THAT(pod->WaitReady(Patience(absl::Seconds(60))), IsOk());
  EXPECT_THAT(MountOptionsOf(*pod, "/sys"), StartsWith("rw"));
  EXPECT_EQ(UdevCondition(*pod), "yes");
}

TEST_F(ContractControlsTest, LateMountsReachRunningServices) {  // EE8
  auto pod = StartReady(NewRequest());
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(SeenByAService(*pod), HasSubstr("davit-late"));
}

TEST_F(ContractControlsTest, WithoutSharedPropagationTheyDoNot) {
  auto pod = StartReady(NewRequest());
  ASSERT_NE(pod, nullptr);
  OutOf(*pod, {"mount", "--make-rprivate", "/"});
  EXPECT_THAT(SeenByAService(*pod), Not(HasSubstr("davit-late")));
}

// systemd takes over a moment after the exec. Here that moment is long.
constexpr char kLateSystemd[] = "sleep 0.5; exec /sbin/init";

TEST_F(ContractControlsTest, AnEarlyStopSignalIsLost) {  // AI3
  BootRequest request = NewRequest();
  request.init_argv = {"/bin/sh", "-c", kLateSystemd};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  ASSERT_EQ(kill(pod->init().pid, SIGRTMIN + 3), 0);
  EXPECT_THAT(pod->WaitReady(Patience(absl::Seconds(60))), IsOk());
}

TEST_F(ContractControlsTest, AnEarlyStopIsNot) {
  BootRequest request = NewRequest();
  request.init_argv = {"/bin/sh", "-c", kLateSystemd};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(30))));
  EXPECT_EQ(exit.kind, PodExit::Kind::kPowerOff);
}

TEST_F(ContractControlsTest, NotReadyWithoutSysAdmin) {  // NO2
  BootRequest request = NewRequest();
  ASSERT_OK_AND_ASSIGN(auto pod, StartEdited(request, [](LaunchPlan& plan) {
                         plan.bounding_capabilities &= ~Bit(CAP_SYS_ADMIN);
                       }));
  // In a container systemd does not freeze then: it exits.
  EXPECT_THAT(pod->WaitReady(absl::Seconds(20)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Failed to mount API filesystems")));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(absl::Seconds(20)));
  EXPECT_EQ(exit.kind, PodExit::Kind::kExited);
  EXPECT_EQ(exit.code, 255);
}

// With what it would mount there already, systemd does without both, and turns
// the sandboxes of its services off.
TEST_F(ContractControlsTest, UnprivilegedPayloadDegrades) {  // UP2
  BootRequest request = NewRequest();
  ASSERT_OK_AND_ASSIGN(
      auto pod, StartEdited(request, [](LaunchPlan& plan) {
        plan.bounding_capabilities &= ~(Bit(CAP_SYS_ADMIN) | Bit(CAP_MKNOD));
        plan.steps.push_back({.kind = Kind::kMount,
                              .target = "/run/lock",
                              .source = "tmpfs",
                              .options = "mode=1777,size=5m",
                              .attributes = MOUNT_ATTR_NOSUID});
      }));
  EXPECT_THAT(pod->WaitReady(Patience(absl::Seconds(60))), IsOk())
      << Console(request);
  EXPECT_THAT(RunUnit(*pod, "mount -t tmpfs x /mnt").err,
              HasSubstr("permission denied"));
  EXPECT_FALSE(RunUnit(*pod, "mknod /root/n c 1 3").ExitedWith(0));
}

}  // namespace
}  // namespace davit::testing
