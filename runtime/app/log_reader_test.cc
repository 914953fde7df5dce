#include "runtime/app/log_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::TempDir;

bool Unexpected(const LogEntry& entry) {
  ADD_FAILURE() << entry.message;
  return true;
}

TEST(LogReaderTest, AnAbsentJournalIsEmpty) {
  EXPECT_THAT(ReadLogs({.journal_dir = "/does/not/exist"}, Unexpected,
                       [] { return false; }),
              IsOk());
}

TEST(LogReaderTest, FollowingAnAbsentJournalEnds) {
  int asked = 0;
  absl::Time start = absl::Now();
  EXPECT_THAT(ReadLogs({.journal_dir = "/does/not/exist", .follow = true},
                       Unexpected, [&] { return ++asked >= 2; }),
              IsOk());
  EXPECT_EQ(asked, 2);
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

TEST(LogReaderTest, AnEmptyDirectoryIsEmpty) {
  TempDir dir;
  EXPECT_THAT(
      ReadLogs({.journal_dir = dir.path()}, Unexpected, [] { return true; }),
      IsOk());
}

TEST(LogReaderTest, DamagedFilesAreNoError) {
  TempDir dir;
  std::string garbage(1 << 20, '\x5a');
  ASSERT_THAT(WriteFileAtomic(dir / "system.journal", garbage), IsOk());
  std::string header = "LPKSHHRH" + std::string(300, '\0');
  ASSERT_THAT(WriteFileAtomic(dir / "user-1000.journal", header), IsOk());
  ASSERT_EQ(symlink("/etc/passwd", (dir / "link.journal").c_str()), 0);
  ASSERT_EQ(mkfifo((dir / "fifo.journal").c_str(), 0600), 0);
  EXPECT_THAT(
      ReadLogs({.journal_dir = dir.path()}, Unexpected, [] { return true; }),
      IsOk());
}

}  // namespace
}  // namespace davit
