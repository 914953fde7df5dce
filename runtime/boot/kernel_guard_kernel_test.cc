#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/clone_process.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/boot/kernel_guard.h"
#include "runtime/boot/kernel_types.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/unified_mount.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::Patience;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;

const absl::Duration kTimeout = Patience(absl::Seconds(10));

// "" or why there can be no guard here.
std::string NoGuard() {
  absl::StatusOr<KernelGuard> guard = KernelGuard::Load();
  return absl::IsUnavailable(guard.status())
             ? std::string(guard.status().message())
             : "";
}

// Two cgroups, one with a guard.
class KernelGuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string reason = NoGuard(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    ASSERT_OK_AND_ASSIGN(auto hierarchies, DiscoverCgroupHierarchies());
    std::string parent = absl::StrCat("davit-test-", getpid());
    ASSERT_THAT(PrepareAgentCgroup(hierarchies, parent), IsOk());
    for (std::optional<PodCgroup>* cgroup : {&guarded_, &free_}) {
      cgroup->emplace(PodCgroup::Plan(hierarchies, parent, NewUuid(), false));
      if ((*cgroup)->Unified() == nullptr) {
        // As pods are housed where the host mounts v1 only.
        ASSERT_OK_AND_ASSIGN(
            unified_, UnifiedMount::Make(directory_ / "unified", parent));
        cgroup->emplace(std::vector<CgroupDir>{
            PlanBeside(unified_->hierarchy(), parent, NewUuid())});
      }
      ASSERT_THAT((*cgroup)->Create(), IsOk());
    }
    ASSERT_OK_AND_ASSIGN(KernelGuard guard, KernelGuard::Load());
    ASSERT_THAT(guard.Attach(guarded_->Unified()->payload), IsOk());
    // It holds without those who made it.
  }
  void TearDown() override {
    for (std::optional<PodCgroup>* cgroup : {&guarded_, &free_}) {
      if (!cgroup->has_value()) continue;
      EXPECT_THAT((*cgroup)->KillAll(kTimeout), IsOk());
      EXPECT_THAT((*cgroup)->Remove(), IsOk());
    }
  }

  // Whether `deed` says so, by a process in the cgroup with a mount namespace
  // of its own.
  static bool Does(const PodCgroup& cgroup, const std::function<bool()>& deed) {
    absl::StatusOr<UniqueFd> payload = cgroup.OpenPayload();
    EXPECT_THAT(payload, IsOk());
    pid_t pid = CloneProcess(0, payload->get(), nullptr);
    EXPECT_GE(pid, 0);
    if (pid == 0) {
      if (unshare(CLONE_NEWNS) < 0) _exit(2);
      if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) _exit(2);
      _exit(deed() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) < 2) << status;
    return status == 0;
  }
  static bool Opens(const PodCgroup& cgroup, const std::string& path,
                    int flags) {
    return Does(cgroup, [&] {
      return UniqueFd(open(path.c_str(), flags | O_CLOEXEC)).valid();
    });
  }
  static bool OpensOn(const PodCgroup& cgroup, const std::string& type,
                      const std::string& name, int flags) {
    return Does(cgroup, [&] {
      absl::StatusOr<UniqueFd> mount = NewMount(type, "", 0);
      if (!mount.ok()) return false;
      return UniqueFd(openat(mount->get(), name.c_str(), flags | O_CLOEXEC))
          .valid();
    });
  }
  static bool Mounts(const PodCgroup& cgroup, const std::string& type) {
    return Does(cgroup, [&] {
      return mount("test", "/mnt", type.c_str(), 0, nullptr) == 0;
    });
  }
  static bool KernelHas(const std::string& type) {
    return absl::StrContains(ReadFile("/proc/filesystems").value(),
                             absl::StrCat("\t", type, "\n"));
  }

  TempDir directory_;
  std::shared_ptr<const UnifiedMount> unified_;
  std::optional<PodCgroup> guarded_, free_;
};

// That "free" may do it is the control: else a refusal would say nothing.
#define EXPECT_GUARDED(function, ...)                         \
  EXPECT_TRUE(function(*free_, __VA_ARGS__)) << "nobody can"; \
  EXPECT_FALSE(function(*guarded_, __VA_ARGS__)) << "it can too"

#define EXPECT_ALLOWED(function, ...) \
  EXPECT_TRUE(function(*guarded_, __VA_ARGS__))

TEST_F(KernelGuardTest, SysIsForReading) {
  for (int flags : {O_WRONLY, O_RDWR}) {
    EXPECT_GUARDED(Opens, "/sys/kernel/mm/transparent_hugepage/enabled", flags);
    EXPECT_GUARDED(OpensOn, "sysfs", "kernel/mm/transparent_hugepage/enabled",
                   flags);
  }
  EXPECT_ALLOWED(Opens, "/sys/kernel/mm/transparent_hugepage/enabled",
                 O_RDONLY);
}

TEST_F(KernelGuardTest, ProcIsForProcesses) {
  EXPECT_GUARDED(Opens, "/proc/sysrq-trigger", O_WRONLY);
  EXPECT_GUARDED(OpensOn, "proc", "sysrq-trigger", O_WRONLY);
  EXPECT_GUARDED(Opens, "/proc/irq/default_smp_affinity", O_RDWR);
  EXPECT_ALLOWED(Opens, "/proc/irq/default_smp_affinity", O_RDONLY);
  EXPECT_ALLOWED(Opens, "/proc/self/oom_score_adj", O_RDWR);
  EXPECT_ALLOWED(Opens, "/proc/thread-self/attr/current", O_RDWR);
  EXPECT_ALLOWED(Opens, absl::StrCat("/proc/", getpid(), "/comm"), O_WRONLY);
  // It is the sysctl policy's to say.
  EXPECT_ALLOWED(Opens, "/proc/sys/net/ipv4/ip_forward", O_WRONLY);
  if (PathExists("/proc/pressure/cpu")) {
    EXPECT_ALLOWED(Opens, "/proc/pressure/cpu", O_RDWR);
  }
}

TEST_F(KernelGuardTest, WhatIsTheMachinesIsNotMounted) {
  int tried = 0;
  for (const char* type : {"debugfs", "tracefs", "securityfs", "configfs",
                           "devtmpfs", "binfmt_misc", "efivarfs"}) {
    // Some need hardware that is not there.
    if (!KernelHas(type) || !Mounts(*free_, type)) continue;
    ++tried;
    EXPECT_FALSE(Mounts(*guarded_, type)) << type;
    EXPECT_FALSE(OpensOn(*guarded_, type, ".", O_RDONLY)) << type;
  }
  EXPECT_GE(tried, 4);
}

TEST_F(KernelGuardTest, WhatIsThePodsIsMounted) {
  for (const char* type : {"tmpfs", "ramfs", "proc", "sysfs", "devpts",
                           "mqueue", "cgroup2", "hugetlbfs", "fusectl"}) {
    if (KernelHas(type)) {
      EXPECT_ALLOWED(Mounts, type) << type;
    }
  }
}

TEST_F(KernelGuardTest, HoldsBelow) {
  EXPECT_FALSE(Does(*guarded_, [] {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0) return false;
    return UniqueFd(open("/proc/sysrq-trigger", O_WRONLY)).valid();
  }));
}

TEST(KernelTypes, KnowsWhereMembersAre) {
  ASSERT_OK_AND_ASSIGN(KernelTypes types, KernelTypes::Load());
  ASSERT_OK_AND_ASSIGN(int prev, types.OffsetOf("list_head", "prev"));
  EXPECT_EQ(prev, 8);
  ASSERT_OK_AND_ASSIGN(int path, types.OffsetOf("file", "f_path"));
  ASSERT_OK_AND_ASSIGN(int dentry, types.OffsetOf("file", "f_path.dentry"));
  EXPECT_EQ(dentry, path + 8);
  // Through a union and a structure without names.
  ASSERT_OK_AND_ASSIGN(int name, types.OffsetOf("qstr", "name"));
  ASSERT_OK_AND_ASSIGN(int hash, types.OffsetOf("qstr", "hash"));
  EXPECT_EQ(name, 8);
  EXPECT_LT(hash, name);
  EXPECT_THAT(types.OffsetOf("qstr", "no_such"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(types.OffsetOf("no_such", "x"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(types.FunctionId("bpf_lsm_no_such_hook"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace davit
