#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "runtime/sandbox/oci_seccomp.h"
#include "runtime/sandbox/seccomp_program.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

constexpr int kLoadFailed = 200;
// What a child needs to tell its result and end.
constexpr char kAlways[] =
    R"({"names": ["exit_group", "exit", "write", "futex", "rt_sigreturn"],
        "action": "SCMP_ACT_ALLOW"})";

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

// The wait status of a child that has the filter and exits with what `probe`
// returns.
int Under(const std::string& json, const std::function<int()>& probe) {
  absl::StatusOr<OciSeccomp> profile = ParseOciSeccomp(json);
  EXPECT_THAT(profile, testing::IsOk());
  if (!profile.ok()) return -1;
  absl::StatusOr<std::string> program = CompileOciSeccomp(*profile);
  EXPECT_THAT(program, testing::IsOk());
  if (!program.ok()) return -1;
  pid_t child = fork();
  if (child == 0) {
    _exit(LoadSeccompProgram(*program).ok() ? probe() : kLoadFailed);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

int ErrnoUnder(const std::string& json, const std::function<long()>& call) {
  int status = Under(json, [&] { return ErrnoOf(call()); });
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST(OciSeccompKernelTest, AllowListsDenyTheRest) {
  std::string json = std::string(R"({"defaultAction": "SCMP_ACT_ERRNO",
      "defaultErrnoRet": 7, "architectures": ["SCMP_ARCH_X86_64"],
      "syscalls": [)") +
                     kAlways +
                     R"(, {"names": ["getpid"], "action": "SCMP_ACT_ALLOW"}]})";
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_getpid); }), 0);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_getuid); }), 7);
  // Newer than libseccomp 2.5: programs fall back on ENOSYS alone.
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(462, 1, 1, 1); }), ENOSYS);
}

TEST(OciSeccompKernelTest, DenyListsLetTheRestPass) {
  std::string json = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["getuid", "getgid"], "action": "SCMP_ACT_ERRNO"},
      {"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}]})";
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_getuid); }), EPERM);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_getgid); }), EPERM);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_getpid); }), 0);
  int status = Under(json, [] { return syscall(SYS_getppid) < 0 ? 1 : 0; });
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGSYS);
}

TEST(OciSeccompKernelTest, ArgumentsAreCompared) {
  std::string json = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9,
       "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
      {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 10,
       "args": [{"index": 1, "value": 240, "valueTwo": 16,
                 "op": "SCMP_CMP_MASKED_EQ"}]},
      {"names": ["lseek"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11,
       "args": [{"index": 1, "value": 100, "op": "SCMP_CMP_GT"},
                {"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}]}]})";
  EXPECT_EQ(ErrnoUnder(json, [] { return personality(8); }), 9);
  EXPECT_EQ(ErrnoUnder(json, [] { return personality(0xffffffff); }), 0);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_kill, getpid(), 17); }),
            10);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_kill, getpid(), 0); }), 0);
  // Two comparisons of one argument are alternatives.
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_lseek, -1, 101, 0); }),
            11);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_lseek, -1, 5, 0); }), 11);
  EXPECT_EQ(ErrnoUnder(json, [] { return syscall(SYS_lseek, -1, 6, 0); }),
            EBADF);
}

}  // namespace
}  // namespace davit
