#include "agent/pod/launcher_copy.h"

#include <sys/stat.h>

#include "absl/status/status.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

class LauncherCopyTest : public ::testing::Test {
 protected:
  void SetUp() override { Install("one"); }

  // As a package manager does: under a new inode.
  void Install(const std::string& content) {
    ASSERT_THAT(WriteFileAtomic(program_, content, 0755), IsOk());
  }
  struct stat Stat(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return st;
  }

  TempDir dir_;
  const std::string program_ = dir_ / "davit-app";
  const std::string copies_ = dir_ / "launcher";
};

TEST_F(LauncherCopyTest, IsOneFileForAllPods) {
  LauncherCopy copy(program_, copies_);
  ASSERT_THAT(copy.LinkTo(dir_ / "a"), IsOk());
  ASSERT_THAT(copy.LinkTo(dir_ / "b"), IsOk());
  EXPECT_EQ(Stat(dir_ / "a").st_ino, Stat(dir_ / "b").st_ino);
  EXPECT_NE(Stat(dir_ / "a").st_ino, Stat(program_).st_ino);
  EXPECT_EQ(Stat(dir_ / "a").st_mode & 07777, 0555u);
  EXPECT_EQ(*ReadFile(dir_ / "a"), "one");
}

TEST_F(LauncherCopyTest, ReplacesWhatAnEarlierRunLeft) {
  LauncherCopy copy(program_, copies_);
  ASSERT_THAT(WriteFileAtomic(dir_ / "a", "old", 0600), IsOk());
  ASSERT_THAT(copy.LinkTo(dir_ / "a"), IsOk());
  EXPECT_EQ(*ReadFile(dir_ / "a"), "one");
}

TEST_F(LauncherCopyTest, KeepsARelease) {
  LauncherCopy copy(program_, copies_);
  ASSERT_THAT(copy.LinkTo(dir_ / "a"), IsOk());
  Install("two");
  ASSERT_THAT(copy.LinkTo(dir_ / "b"), IsOk());
  EXPECT_EQ(*ReadFile(dir_ / "b"), "one");
  // The next agent's pods have the new one, those that run keep theirs.
  LauncherCopy next(program_, copies_);
  ASSERT_THAT(next.LinkTo(dir_ / "c"), IsOk());
  EXPECT_EQ(*ReadFile(dir_ / "c"), "two");
  EXPECT_EQ(*ReadFile(dir_ / "a"), "one");
}

TEST_F(LauncherCopyTest, SaysWhichProgramIsMissing) {
  LauncherCopy copy(dir_ / "none", copies_);
  EXPECT_THAT(copy.LinkTo(dir_ / "a"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
  // And is not spoilt by it.
  ASSERT_THAT(WriteFileAtomic(dir_ / "none", "one", 0755), IsOk());
  ASSERT_THAT(copy.LinkTo(dir_ / "a"), IsOk());
}

}  // namespace
}  // namespace davit
