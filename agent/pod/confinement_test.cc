#include "agent/pod/confinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::absl::StatusCode;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kField[] =
    "spec.containers[0].securityContext.seccompProfile.localhostProfile: ";

class ResolveConfinementTest : public ::testing::Test {
 protected:
  ResolveConfinementTest() {
    Write("seccomp/deny.json",
          R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
              {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]})");
    spec_.containers.resize(2);
  }
  void Write(const std::string& name, const std::string& text) {
    std::string path = dir_ / name;
    EXPECT_THAT(MakeDirectories(path.substr(0, path.rfind('/'))), IsOk());
    EXPECT_THAT(WriteFileAtomic(path, text), IsOk());
  }
  static ConfinementProfile File(const std::string& name) {
    return {ProfileType::kLocalhost, name};
  }
  Confinement& Of(size_t i) { return spec_.containers[i].security.confinement; }
  absl::StatusOr<PodConfinement> Resolve() {
    return ResolveConfinement(spec_, dir_ / "seccomp", dir_ / "sys");
  }

  TempDir dir_;
  PodSpec spec_;
};

TEST_F(ResolveConfinementTest, NothingSaidIsTheDefault) {
  ASSERT_OK_AND_ASSIGN(PodConfinement found, Resolve());
  EXPECT_EQ(found.machine, ProcessConfinement());
  EXPECT_THAT(found.apps, ::testing::Each(ProcessConfinement()));
}

TEST_F(ResolveConfinementTest, AnAppHasItsOwnElseThePods) {
  spec_.confinement.seccomp = File("deny.json");
  Of(1).seccomp = {ProfileType::kUnconfined, ""};
  ASSERT_OK_AND_ASSIGN(PodConfinement found, Resolve());
  EXPECT_EQ(found.machine, ProcessConfinement());
  EXPECT_THAT(found.apps[0].seccomp_program, Not(IsEmpty()));
  EXPECT_FALSE(found.apps[0].no_filter);
  EXPECT_THAT(found.apps[1].seccomp_program, IsEmpty());
  EXPECT_TRUE(found.apps[1].no_filter);
  Of(1).seccomp = {ProfileType::kRuntimeDefault, ""};
  EXPECT_EQ(Resolve()->apps[1], ProcessConfinement());
  spec_.containers[0].security.privileged = true;
  EXPECT_EQ(Resolve()->apps[0], ProcessConfinement());
}

TEST_F(ResolveConfinementTest, WithoutAppsItIsTheMachines) {
  spec_.containers.clear();
  spec_.confinement.seccomp = File("deny.json");
  ASSERT_OK_AND_ASSIGN(PodConfinement found, Resolve());
  EXPECT_THAT(found.machine.seccomp_program, Not(IsEmpty()));
}

TEST_F(ResolveConfinementTest, BadProfilesAreNamed) {
  Of(0).seccomp = File("none.json");
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kNotFound,
                                  AllOf(StartsWith(kField),
                                        HasSubstr("seccomp/none.json"))));
  Write("seccomp/bad.json", R"({"defaultAction": "ALLOW"})");
  Of(0).seccomp = File("bad.json");
  EXPECT_THAT(Resolve(),
              StatusIs(StatusCode::kInvalidArgument,
                       std::string(kField) +
                           "bad.json: defaultAction: \"ALLOW\" is not known"));
  Write("seccomp/big.json", std::string((1 << 20) + 1, ' '));
  Of(0).seccomp = File("big.json");
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kOutOfRange, StartsWith(kField)));
  // No link and no ".." leads out, and a FIFO is not waited for.
  Write("secret.json", R"({"defaultAction": "SCMP_ACT_ALLOW"})");
  ASSERT_EQ(symlink("../secret.json", (dir_ / "seccomp/link.json").c_str()), 0);
  for (const char* name : {"link.json", "../secret.json"}) {
    Of(0).seccomp = File(name);
    EXPECT_FALSE(Resolve().ok()) << name;
  }
  ASSERT_EQ(mkfifo((dir_ / "seccomp/fifo").c_str(), 0600), 0);
  Of(0).seccomp = File("fifo");
  EXPECT_THAT(Resolve(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("is no JSON")));
}

TEST_F(ResolveConfinementTest, LabelsNeedTheKernelsModule) {
  spec_.confinement.app_armor = File("web");
  EXPECT_THAT(Resolve(),
              StatusIs(StatusCode::kFailedPrecondition,
                       "spec.securityContext.appArmorProfile: the node has no "
                       "AppArmor"));
  Write("sys/module/apparmor/parameters/enabled", "Y\n");
  EXPECT_EQ(Resolve()->apps[0].apparmor_profile, "web");
  spec_.confinement = {};
  Of(1).se_linux = {.user = "", .role = "", .type = "web_t", .level = ""};
  EXPECT_THAT(Resolve(),
              StatusIs(StatusCode::kFailedPrecondition,
                       "spec.containers[1].securityContext.seLinuxOptions: the "
                       "node has no SELinux"));
  Write("sys/fs/selinux/enforce", "1");
  EXPECT_EQ(Resolve()->apps[1].selinux_context, "system_u:system_r:web_t:s0");
  Of(1).se_linux.level = "s0:c1,c2";
  EXPECT_EQ(Resolve()->apps[1].selinux_context,
            "system_u:system_r:web_t:s0:c1,c2");
}

}  // namespace
}  // namespace davit
