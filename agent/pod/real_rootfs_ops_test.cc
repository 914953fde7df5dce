#include "agent/pod/real_rootfs_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

bool IsDirectory(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

class MakeMountPointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(MakeDirectories(root_), IsOk());
    ASSERT_THAT(MakeDirectories(outside_), IsOk());
  }
  TempDir dir_;
  std::string root_ = dir_ / "root";
  std::string outside_ = dir_ / "outside";
  std::unique_ptr<RootfsOps> ops_ = NewRealRootfsOps();
};

TEST_F(MakeMountPointTest, MakesWhatIsMissing) {
  EXPECT_THAT(ops_->MakeMountPoint(root_, "/opt/stage2/web/rootfs", {}),
              IsOk());
  EXPECT_TRUE(IsDirectory(root_ + "/opt/stage2/web/rootfs"));
  EXPECT_THAT(ops_->MakeMountPoint(root_, "/opt/stage2/web/rootfs", {}),
              IsOk());
}

TEST_F(MakeMountPointTest, FollowsNoSymlinkAtAnyPart) {
  ASSERT_EQ(symlink(outside_.c_str(), (root_ + "/opt").c_str()), 0);
  EXPECT_THAT(ops_->MakeMountPoint(root_, "/opt/stage2", {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/root/opt is not a directory")));
  EXPECT_FALSE(PathExists(outside_ + "/stage2"));

  ASSERT_THAT(MakeDirectories(root_ + "/srv"), IsOk());
  ASSERT_EQ(symlink("../../outside", (root_ + "/srv/last").c_str()), 0);
  EXPECT_THAT(
      ops_->MakeMountPoint(root_, "/srv/last", {}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/srv/last")));
}

TEST_F(MakeMountPointTest, FileInTheWay) {
  ASSERT_THAT(WriteFileAtomic(root_ + "/opt", "x"), IsOk());
  EXPECT_THAT(ops_->MakeMountPoint(root_, "/opt/stage2", {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/root/opt is not a directory")));
}

TEST_F(MakeMountPointTest, MissingRoot) {
  EXPECT_THAT(ops_->MakeMountPoint(dir_ / "none", "/opt", {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace davit
