#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "runtime/sandbox/capabilities.h"
#include "runtime/sandbox/seccomp.h"
#include "runtime/sandbox/seccomp_profile.h"
#include "runtime/sandbox/seccomp_program.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int kLoadFailed = 200;

// Runs `probe` in a child with the filter and returns what it returned.
int Under(const SeccompProfile& profile, const std::function<int()>& probe) {
  absl::StatusOr<SeccompFilter> filter = SeccompFilter::Create(profile);
  EXPECT_THAT(filter, IsOk());
  if (!filter.ok()) return kLoadFailed;
  pid_t child = fork();
  if (child == 0) _exit(filter->Load().ok() ? probe() : kLoadFailed);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

TEST(PodSeccompProfile, DeniesWhatReachesTheMachine) {
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] { return ErrnoOf(syscall(SYS_bpf, 0, nullptr, 0)); }),
            EPERM);
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] { return ErrnoOf(syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }),
            EPERM);
  EXPECT_EQ(
      Under(PodSeccompProfile(),
            [] { return ErrnoOf(syscall(SYS_init_module, nullptr, 0, "")); }),
      EPERM);
}

TEST(PodSeccompProfile, DeniesAuditSocketsOnly) {
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] {
                    return ErrnoOf(socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT));
                  }),
            EAFNOSUPPORT);
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] {
                    return ErrnoOf(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
                  }),
            0);
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] { return ErrnoOf(socket(AF_UNIX, SOCK_STREAM, 0)); }),
            0);
}

TEST(PodSeccompProfile, AnswersUnknownCallsWithEnosys) {
  // mseal (462) exists in this kernel's generation but not in libseccomp 2.5.
  EXPECT_EQ(
      Under(PodSeccompProfile(), [] { return ErrnoOf(syscall(462, 1, 1, 1)); }),
      ENOSYS);
  // getpid by the x32 ABI.
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] { return ErrnoOf(syscall(0x40000000 | SYS_getpid)); }),
            ENOSYS);
  EXPECT_EQ(
      Under(PodSeccompProfile(), [] { return ErrnoOf(syscall(SYS_getpid)); }),
      0);
}

TEST(PodSeccompProfile, LeavesNewPrivilegesAlone) {
  EXPECT_EQ(Under(PodSeccompProfile(),
                  [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }),
            0);
}

TEST(PodSeccompProfile, LetsSystemdMountAndUnshare) {
  EXPECT_EQ(
      Under(PodSeccompProfile(), [] { return ErrnoOf(unshare(CLONE_NEWNS)); }),
      0);
}

TEST(AppSeccompProfile, DeniesMountsAndNamespaces) {
  SeccompProfile app = AppSeccompProfile();
  EXPECT_EQ(Under(app, [] { return ErrnoOf(unshare(CLONE_NEWNS)); }), EPERM);
  EXPECT_EQ(Under(app,
                  [] {
                    return ErrnoOf(syscall(SYS_mount, "none", "/nowhere",
                                           "tmpfs", 0, nullptr));
                  }),
            EPERM);
  EXPECT_EQ(Under(app,
                  [] {
                    return ErrnoOf(
                        syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0));
                  }),
            EPERM);
  EXPECT_EQ(Under(app, [] { return ErrnoOf(syscall(SYS_clone3, nullptr, 0)); }),
            ENOSYS);
  // What the pod denies stays denied.
  EXPECT_EQ(Under(app, [] { return ErrnoOf(syscall(SYS_bpf, 0, nullptr, 0)); }),
            EPERM);
}

TEST(AppSeccompProfile, LetsProgramsForkAndThread) {
  EXPECT_EQ(Under(AppSeccompProfile(),
                  [] {
                    pid_t child = fork();
                    if (child == 0) _exit(7);
                    int status = 0;
                    waitpid(child, &status, 0);
                    return WEXITSTATUS(status);
                  }),
            7);
}

TEST(AppSeccompProfile, OpensWithTheCapability) {
  SeccompProfile app =
      AppSeccompProfile(DefaultAppCapabilities() | 1u << CAP_SYS_ADMIN);
  EXPECT_EQ(Under(app, [] { return ErrnoOf(unshare(CLONE_NEWNS)); }), 0);
  EXPECT_EQ(
      Under(app, [] { return ErrnoOf(syscall(SYS_kcmp, 0, 0, 0, 0, 0)); }),
      EPERM);
}

TEST(SeccompFilter, NamesAnUnknownCall) {
  EXPECT_THAT(SeccompFilter::Create({{{"no_such_call"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"no_such_call\"")));
}

TEST(LoadSeccompProgram, RefusesWhatIsNoProgram) {
  EXPECT_THAT(LoadSeccompProgram(""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(
      LoadSeccompProgram("12345"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("5 bytes")));
}

TEST(LimitCapabilities, BoundsWhatAnExecCanGet) {
  pid_t child = fork();
  if (child == 0) {
    if (!LimitCapabilities(DefaultAppCapabilities()).ok()) _exit(1);
    for (int number = 0; number <= CAP_LAST_CAP; ++number) {
      bool kept = prctl(PR_CAPBSET_READ, number) == 1;
      bool wanted = (DefaultAppCapabilities() >> number & 1) != 0;
      if (kept != wanted) _exit(2);
    }
    if (!SetProcessCapabilities(1u << CAP_CHOWN, 0, 0).ok()) _exit(3);
    absl::Status raised = SetProcessCapabilities(1u << CAP_KILL, 0, 0);
    _exit(absl::IsPermissionDenied(raised) ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace davit
