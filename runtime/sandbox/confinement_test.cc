#include "runtime/sandbox/confinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::absl::StatusCode;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

// A kernel's files, on disk: here there is neither AppArmor nor SELinux.
class ConfinementTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::string path = dir_ / name;
    ASSERT_THAT(MakeDirectories(path.substr(0, path.rfind('/'))), IsOk());
    ASSERT_THAT(WriteFileAtomic(path, text), IsOk());
  }
  std::string Read(const std::string& name) {
    return ReadFile(dir_ / name).value_or("(none)");
  }
  TempDir dir_;
};

TEST_F(ConfinementTest, AppArmorMustBeThereAndKnowTheProfile) {
  auto none =
      StatusIs(StatusCode::kFailedPrecondition, "the node has no AppArmor");
  EXPECT_THAT(CheckAppArmor("web", dir_.path()), none);
  Write("module/apparmor/parameters/enabled", "N\n");
  EXPECT_THAT(CheckAppArmor("web", dir_.path()), none);
  Write("module/apparmor/parameters/enabled", "Y\n");
  EXPECT_THAT(CheckAppArmor("web", dir_.path()), IsOk());
  Write("kernel/security/apparmor/profiles",
        "webby (enforce)\nmy web (x) (complain)\n");
  EXPECT_THAT(CheckAppArmor("web", dir_.path()),
              StatusIs(StatusCode::kFailedPrecondition,
                       "AppArmor has not loaded a profile \"web\""));
  EXPECT_THAT(CheckAppArmor("webby", dir_.path()), IsOk());
  EXPECT_THAT(CheckAppArmor("my web (x)", dir_.path()), IsOk());
}

TEST_F(ConfinementTest, SelinuxMustBeThere) {
  EXPECT_THAT(
      CheckSelinux(dir_.path()),
      StatusIs(StatusCode::kFailedPrecondition, "the node has no SELinux"));
  Write("fs/selinux/enforce", "0");
  EXPECT_THAT(CheckSelinux(dir_.path()), IsOk());
}

TEST_F(ConfinementTest, LabelsAreWrittenWhereTheKernelReadsThem) {
  EXPECT_THAT(LabelNextExec({}, dir_ / "none"), IsOk());
  Write("exec", "");
  EXPECT_THAT(LabelNextExec({.apparmor_profile = "web"}, dir_.path()), IsOk());
  EXPECT_EQ(Read("exec"), "exec web");
  Write("exec", "");
  Write("apparmor/exec", "");
  EXPECT_THAT(LabelNextExec({.apparmor_profile = "web",
                             .selinux_context = "u:r:t:s0:c1,c2"},
                            dir_.path()),
              IsOk());
  EXPECT_EQ(Read("apparmor/exec"), "exec web");
  EXPECT_EQ(Read("exec"), "u:r:t:s0:c1,c2");
}

TEST_F(ConfinementTest, ARefusedLabelIsAnError) {
  EXPECT_THAT(LabelNextExec({.apparmor_profile = "web"}, dir_ / "none"),
              StatusIs(StatusCode::kNotFound, HasSubstr("AppArmor profile")));
  EXPECT_THAT(LabelNextExec({.selinux_context = "x"}, dir_ / "none"),
              StatusIs(StatusCode::kNotFound, HasSubstr("SELinux context")));
}

}  // namespace
}  // namespace davit
