#include "runtime/app/launcher/mount_point.h"

#include <fcntl.h>
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

// A root directory and, beside it, what must never be touched.
class MountPointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(MakeDirectories(dir_ / "root/etc"), IsOk());
    ASSERT_THAT(MakeDirectories(dir_ / "outside"), IsOk());
    root_ = UniqueFd(
        open((dir_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(root_.valid());
  }
  void Link(const std::string& target, const std::string& name) {
    ASSERT_EQ(symlink(target.c_str(), (dir_ / ("root/" + name)).c_str()), 0);
  }
  static bool Same(const UniqueFd& fd, const std::string& path) {
    struct stat a, b;
    return fstat(fd.get(), &a) == 0 && stat(path.c_str(), &b) == 0 &&
           a.st_ino == b.st_ino && a.st_dev == b.st_dev;
  }

  TempDir dir_;
  UniqueFd root_;
};

TEST_F(MountPointTest, MakesWhatIsMissing) {
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, OpenOrMakeDirectory(root_.get(), "/a/b/c"));
  EXPECT_TRUE(Same(fd, dir_ / "root/a/b/c"));
  ASSERT_OK_AND_ASSIGN(fd, OpenOrMakeDirectory(root_.get(), "/"));
  EXPECT_TRUE(Same(fd, dir_ / "root"));
  ASSERT_OK_AND_ASSIGN(fd, OpenOrMakeFile(root_.get(), "/new/file"));
  EXPECT_TRUE(Same(fd, dir_ / "root/new/file"));
}

TEST_F(MountPointTest, LinksStayInTheRoot) {
  Link(dir_ / "outside", "abs");
  Link("../../../../../outside", "rel");
  Link("/etc", "inner");
  ASSERT_OK_AND_ASSIGN(UniqueFd fd,
                       OpenOrMakeDirectory(root_.get(), "/inner/x"));
  EXPECT_TRUE(Same(fd, dir_ / "root/etc/x"));
  // Dangling inside the root, whatever they mean outside.
  EXPECT_THAT(OpenOrMakeDirectory(root_.get(), "/abs/x").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/abs")));
  EXPECT_THAT(OpenOrMakeDirectory(root_.get(), "/rel/x").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/rel")));
  EXPECT_FALSE(PathExists(dir_ / "outside/x"));
}

TEST_F(MountPointTest, ADanglingFileLinkIsReplaced) {
  Link("../run/systemd/resolve/stub-resolv.conf", "etc/resolv.conf");
  ASSERT_OK_AND_ASSIGN(UniqueFd fd,
                       OpenOrMakeFile(root_.get(), "/etc/resolv.conf"));
  struct stat info;
  ASSERT_EQ(lstat((dir_ / "root/etc/resolv.conf").c_str(), &info), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  EXPECT_TRUE(Same(fd, dir_ / "root/etc/resolv.conf"));
}

TEST_F(MountPointTest, AFileLinkIsFollowedInTheRoot) {
  ASSERT_THAT(WriteFileAtomic(dir_ / "root/real", "x"), IsOk());
  Link("/real", "etc/hosts");
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, OpenOrMakeFile(root_.get(), "/etc/hosts"));
  EXPECT_TRUE(Same(fd, dir_ / "root/real"));
}

TEST_F(MountPointTest, AFileIsNoDirectory) {
  ASSERT_THAT(WriteFileAtomic(dir_ / "root/file", "x"), IsOk());
  EXPECT_FALSE(OpenOrMakeDirectory(root_.get(), "/file/x").ok());
  Link("loop", "loop");
  EXPECT_FALSE(OpenOrMakeDirectory(root_.get(), "/loop").ok());
}

}  // namespace
}  // namespace davit
