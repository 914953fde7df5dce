#include "runtime/base/unsynced_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;

TEST(WriteFileUnsynced, ReplacesTheWholeFileWithItsMode) {
  TempDir dir;
  const std::string path = dir / "file";
  ASSERT_THAT(WriteFileUnsynced(path, "a long first content"), IsOk());
  ASSERT_THAT(WriteFileUnsynced(path, "second", 0600), IsOk());
  EXPECT_EQ(ReadFile(path).value_or("?"), "second");
  struct stat st;
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST(WriteFileUnsynced, LeavesNoTemporaryWhenItFails) {
  TempDir dir;
  ASSERT_THAT(MakeDirectories(dir / "target/full"), IsOk());
  EXPECT_THAT(WriteFileUnsynced(dir / "target", "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       ::testing::HasSubstr("rename(")));
  EXPECT_THAT(RemoveTree(dir / "target"), IsOk());
  EXPECT_EQ(rmdir(dir.path().c_str()), 0) << "something is left in it";
  EXPECT_EQ(mkdir(dir.path().c_str(), 0700), 0);
}

TEST(WriteFileUnsynced, NamesTheDirectoryThatIsNotThere) {
  TempDir dir;
  EXPECT_THAT(
      WriteFileUnsynced(dir / "no/file", "x"),
      StatusIs(absl::StatusCode::kNotFound, ::testing::HasSubstr("/no/.tmp-")));
}

}  // namespace
}  // namespace davit
