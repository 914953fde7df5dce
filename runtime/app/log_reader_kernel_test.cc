#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "runtime/app/log_reader.h"
#include "runtime/app/log_streams.h"
#include "runtime/app/testing/test_pod.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::ShellApp;
using ::davit::testing::TempDir;
using ::davit::testing::TestPod;
using ::davit::testing::WhyNoPods;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kManyLines = 100'000;

std::vector<AppSpec> Apps() {
  return {
      ShellApp("streams",
               "echo one; sleep 0.2; echo two >&2; sleep 0.2; "
               "echo '<3>three'; printf four"),
      // Bytes that are no UTF-8, a tab, an escape. (journald cuts white space
      // at the end of a line.)
      ShellApp("bytes", "printf ' \\377\\376\\001 \\033[1m\\tx\\n'"),
      // When told to: the streams' order is journald's, who is busy then.
      ShellApp("many",
               absl::StrCat("while ! test -e /out/go; do sleep 0.1; done; "
                            "seq 1 ",
                            kManyLines)),
      ShellApp("slow", "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done"),
      [] {
        AppSpec app = ShellApp("broken", "");
        app.argv = {"/nope"};
        return app;
      }(),
  };
}

std::vector<std::string> Messages(const std::vector<LogEntry>& entries) {
  std::vector<std::string> messages;
  for (const LogEntry& entry : entries) messages.push_back(entry.message);
  return messages;
}

class LogReaderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!WhyNoPods().empty()) return;
    absl::StatusOr<std::unique_ptr<TestPod>> pod = TestPod::Start(Apps());
    ASSERT_TRUE(pod.ok()) << pod.status();
    pod_ = pod->release();
    ASSERT_THAT(
        pod_->apps().StartAll(pod_->ref(), {"streams", "bytes", "many", "slow"},
                              absl::Seconds(60)),
        IsOk());
  }
  static void TearDownTestSuite() {
    delete pod_;
    pod_ = nullptr;
  }
  void SetUp() override {
    if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
    ASSERT_NE(pod_, nullptr);
  }

  static bool HasEnded(const std::string& app) {
    absl::StatusOr<AppStatus> status = pod_->apps().GetStatus(pod_->ref(), app);
    if (!status.ok() || status->state != AppStatus::State::kTerminated) {
      return false;
    }
    absl::StatusOr<bool> complete = LogsAreComplete(pod_->ref(), app);
    return complete.ok() && *complete;
  }

  // Follows until the app has ended and journald has all that it wrote.
  static std::vector<LogEntry> FollowToEnd(const std::string& app,
                                           LogOptions options = {}) {
    options.journal_dir = pod_->journal_dir();
    options.app = app;
    options.follow = true;
    std::vector<LogEntry> entries;
    EXPECT_THAT(ReadLogs(
                    options,
                    [&](const LogEntry& entry) {
                      entries.push_back(entry);
                      return true;
                    },
                    [&] { return HasEnded(app); }),
                IsOk());
    return entries;
  }

  static std::vector<LogEntry> Read(LogOptions options) {
    options.journal_dir = pod_->journal_dir();
    std::vector<LogEntry> entries;
    EXPECT_THAT(ReadLogs(
                    options,
                    [&](const LogEntry& entry) {
                      entries.push_back(entry);
                      return true;
                    },
                    [] { return true; }),
                IsOk());
    return entries;
  }

  static TestPod* pod_;
};

TestPod* LogReaderTest::pod_ = nullptr;

TEST_F(LogReaderTest, StreamsAreInOrderAndTold) {
  std::vector<LogEntry> entries = FollowToEnd("streams");
  ASSERT_THAT(Messages(entries), ElementsAre("one", "two", "<3>three", "four"));
  EXPECT_FALSE(entries[0].is_stderr);
  EXPECT_TRUE(entries[1].is_stderr);
  // A level prefix is the app's own text.
  EXPECT_FALSE(entries[2].is_stderr);
  for (const LogEntry& entry : entries) {
    EXPECT_EQ(entry.app, "streams");
    EXPECT_NE(entry.cursor, "");
    EXPECT_LT(absl::Now() - entry.at, absl::Minutes(5));
  }
  EXPECT_LE(entries[0].at, entries[3].at);
}

TEST_F(LogReaderTest, AnyBytesComeThrough) {
  EXPECT_THAT(Messages(FollowToEnd("bytes")),
              ElementsAre(std::string(" \xff\xfe\x01 \x1b[1m\tx")));
}

TEST_F(LogReaderTest, ManyLinesAreAllThereInOrder) {
  ASSERT_THAT(testing::RunExec(
                  *pod_, {.app = "many", .argv = {"sh", "-c", ">/out/go"}}),
              IsOk());
  std::vector<LogEntry> entries = FollowToEnd("many");
  ASSERT_EQ(entries.size(), kManyLines);
  for (int i = 0; i < kManyLines; ++i) {
    ASSERT_EQ(entries[i].message, absl::StrCat(i + 1));
  }
}

TEST_F(LogReaderTest, TailTakesTheLast) {
  FollowToEnd("slow");
  EXPECT_THAT(Messages(Read({.app = "slow", .tail_lines = 3})),
              ElementsAre("3", "4", "5"));
  EXPECT_THAT(Messages(Read({.app = "slow", .tail_lines = 5})),
              ElementsAre("1", "2", "3", "4", "5"));
  EXPECT_THAT(Read({.app = "slow", .tail_lines = 0}), IsEmpty());
  EXPECT_EQ(Read({.app = "streams", .tail_lines = 100}).size(), 4u);
}

TEST_F(LogReaderTest, SinceLeavesOutTheOlder) {
  std::vector<LogEntry> all = FollowToEnd("streams");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_THAT(Messages(Read({.app = "streams", .since = all[1].at})),
              ElementsAre("two", "<3>three", "four"));
  EXPECT_THAT(
      Messages(Read({.app = "streams", .tail_lines = 100, .since = all[2].at})),
      ElementsAre("<3>three", "four"));
  EXPECT_THAT(Read({.app = "streams", .since = all[3].at + absl::Seconds(1)}),
              IsEmpty());
}

TEST_F(LogReaderTest, TheSinkMayStop) {
  FollowToEnd("streams");
  int count = 0;
  LogOptions options = {
      .journal_dir = pod_->journal_dir(), .app = "streams", .follow = true};
  EXPECT_THAT(ReadLogs(
                  options, [&](const LogEntry&) { return ++count < 2; },
                  [] { return false; }),
              IsOk());
  EXPECT_EQ(count, 2);
}

TEST_F(LogReaderTest, LinesArriveWhileTheAppRuns) {
  LogOptions options = {
      .journal_dir = pod_->journal_dir(), .app = "slow", .follow = true};
  std::vector<absl::Time> arrivals;
  EXPECT_THAT(ReadLogs(
                  options,
                  [&](const LogEntry&) {
                    arrivals.push_back(absl::Now());
                    return arrivals.size() < 5;
                  },
                  [] { return false; }),
              IsOk());
  EXPECT_EQ(arrivals.size(), 5u);
}

TEST_F(LogReaderTest, TheWholePodNamesItsUnits) {
  FollowToEnd("streams");
  bool systemd = false, app = false;
  for (const LogEntry& entry : Read({})) {
    if (entry.app == "init.scope") systemd = true;
    if (entry.app == "streams") app = true;
  }
  EXPECT_TRUE(systemd);
  EXPECT_TRUE(app);
}

TEST_F(LogReaderTest, StartErrorIsALineOfTheApp) {
  EXPECT_THAT(
      pod_->apps().StartAll(pod_->ref(), {"broken"}, absl::Seconds(20)),
      ::davit::testing::StatusIs(absl::StatusCode::kFailedPrecondition));
  std::vector<LogEntry> entries = FollowToEnd("broken");
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries[0].message,
            "davit-app: app \"broken\": execve(/nope): No such file or "
            "directory");
  EXPECT_TRUE(entries[0].is_stderr);
}

TEST(LogReaderLifeTest, FollowsAJournalThatAppearsLater) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(auto pod,
                       TestPod::Start({ShellApp("late", "echo hello")}));
  TempDir dir;
  // Not there yet, nor is its parent.
  LogOptions options = {
      .journal_dir = dir / "pod/journal", .app = "late", .follow = true};
  std::atomic<bool> seen = false;
  std::thread reader([&] {
    EXPECT_THAT(ReadLogs(
                    options,
                    [&](const LogEntry& entry) {
                      seen = entry.message == "hello";
                      return false;
                    },
                    [] { return false; }),
                IsOk());
  });
  ASSERT_THAT(pod->apps().StartAll(pod->ref(), {"late"}, absl::Seconds(20)),
              IsOk());
  ASSERT_THAT(MakeDirectories(dir / "pod"), IsOk());
  absl::SleepFor(absl::Milliseconds(100));
  ASSERT_EQ(symlink(pod->journal_dir().c_str(), (dir / "pod/journal").c_str()),
            0);
  reader.join();
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace davit
