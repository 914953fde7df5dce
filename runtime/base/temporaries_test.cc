#include "runtime/base/temporaries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

TEST(RemoveTemporaries, TakesThemAndNothingElse) {
  TempDir dir;
  ASSERT_THAT(WriteFileAtomic(dir / ".tmp-abcdef", "half"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir / "record", "whole"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir / ".hidden", "whole"), IsOk());
  EXPECT_THAT(RemoveTemporaries(dir.path()), IsOk());
  EXPECT_FALSE(PathExists(dir / ".tmp-abcdef"));
  EXPECT_TRUE(PathExists(dir / "record"));
  EXPECT_TRUE(PathExists(dir / ".hidden"));
}

TEST(RemoveTemporaries, NoDirectoryIsFineAFileIsNot) {
  TempDir dir;
  EXPECT_THAT(RemoveTemporaries(dir / "none"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir / "file", ""), IsOk());
  EXPECT_THAT(RemoveTemporaries(dir / "file"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("/file): ")));
}

}  // namespace
}  // namespace davit
