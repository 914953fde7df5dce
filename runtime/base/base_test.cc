#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/process_id.h"
#include "runtime/base/rollback.h"
#include "runtime/base/spread_directories.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::absl::StatusCode;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, ClosesWhatItOwnsAndNothingElse) {
  int raw = dup(0);
  {
    UniqueFd a(raw);
    UniqueFd b = std::move(a);
    EXPECT_FALSE(a.valid());
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(ReadLinkTest, TellsWhatIsWritten) {
  testing::TempDir dir;
  ASSERT_EQ(symlink("../none", (dir / "link").c_str()), 0);
  EXPECT_EQ(ReadLink(dir / "link").value_or("?"), "../none");
  EXPECT_THAT(ReadLink(dir / "none"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(ReadLink(dir.path()), StatusIs(StatusCode::kInvalidArgument));
}

TEST(ErrnoErrorTest, TellsCallArgumentsAndErrno) {
  errno = ENOENT;
  EXPECT_THAT(
      ErrnoError("open(%s)", "/x"),
      StatusIs(StatusCode::kNotFound,
               AllOf(HasSubstr("open(/x)"), HasSubstr("No such file"))));
}

TEST(StatusMacrosTest, AddsOnePhraseALayer) {
  auto inner = [] { return absl::NotFoundError("no such thing"); };
  auto outer = [&]() -> absl::Status {
    RETURN_IF_ERROR(inner(), "look it up");
    return absl::OkStatus();
  };
  EXPECT_THAT(outer(),
              StatusIs(StatusCode::kNotFound, "look it up: no such thing"));
}

TEST(RollbackTest, RunsBackwardsAndJoinsFailures) {
  std::vector<int> order;
  Rollback rollback;
  rollback.Add("one", [&] {
    order.push_back(1);
    return absl::AbortedError("bad");
  });
  rollback.Add("two", [&] {
    order.push_back(2);
    return absl::InternalError("worse");
  });
  EXPECT_THAT(rollback.Run(),
              StatusIs(StatusCode::kInternal, "two: worse; one: bad"));
  EXPECT_THAT(order, ElementsAre(2, 1));
  EXPECT_THAT(rollback.Run(), IsOk());
}

TEST(RollbackTest, CommitForgets) {
  bool ran = false;
  {
    Rollback rollback;
    rollback.Add("x", [&] {
      ran = true;
      return absl::OkStatus();
    });
    rollback.Commit();
  }
  EXPECT_FALSE(ran);
}

TEST(FileTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  testing::TempDir dir;
  std::string path = dir / "f";
  ASSERT_THAT(WriteFileAtomic(path, "one"), IsOk());
  ASSERT_THAT(WriteFileAtomic(path, "two", 0600), IsOk());
  ASSERT_OK_AND_ASSIGN(std::string data, ReadFile(path));
  EXPECT_EQ(data, "two");
  EXPECT_THAT(WriteFileAtomic(dir / "absent/f", "x"),
              StatusIs(StatusCode::kNotFound));
  ASSERT_THAT(RemoveFile(path), IsOk());
  EXPECT_EQ(rmdir(dir.path().c_str()), 0) << "a temporary was left";
  EXPECT_THAT(MakeDirectories(dir.path()), IsOk());
}

TEST(FileTest, ReadFileHasALimit) {
  testing::TempDir dir;
  ASSERT_THAT(WriteFileAtomic(dir / "f", std::string(100, 'x')), IsOk());
  EXPECT_THAT(ReadFile(dir / "f", 99), StatusIs(StatusCode::kOutOfRange));
}

TEST(FileTest, RemoveTreeDoesNotFollowSymlinks) {
  testing::TempDir dir;
  ASSERT_THAT(MakeDirectories(dir / "keep"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir / "keep/f", "x"), IsOk());
  ASSERT_THAT(MakeDirectories(dir / "tree/a/b"), IsOk());
  ASSERT_EQ(symlink((dir / "keep").c_str(), (dir / "tree/a/link").c_str()), 0);
  EXPECT_THAT(RemoveTree(dir / "tree"), IsOk());
  EXPECT_FALSE(PathExists(dir / "tree"));
  EXPECT_TRUE(PathExists(dir / "keep/f"));
  EXPECT_THAT(RemoveTree(dir / "tree"), IsOk());
}

TEST(SpreadDirectoriesTest, SetsTheHintAndNothingElse) {
  TempDir directory;
  auto flags = [&]() -> int {
    UniqueFd fd(open(directory.path().c_str(), O_RDONLY | O_CLOEXEC));
    int value = 0;
    return ioctl(fd.get(), FS_IOC_GETFLAGS, &value) < 0 ? -1 : value;
  };
  const int before = flags();
  EXPECT_THAT(SpreadSubdirectories(directory.path()), IsOk());
  EXPECT_THAT(SpreadSubdirectories(directory.path()), IsOk());  // again
  // ext2, ext3 and ext4 have it.
  struct statfs info;
  ASSERT_EQ(statfs(directory.path().c_str(), &info), 0);
  if (info.f_type == EXT4_SUPER_MAGIC) {
    EXPECT_EQ(flags(), before | FS_TOPDIR_FL);
  } else {
    EXPECT_EQ(flags() & ~FS_TOPDIR_FL, before & ~FS_TOPDIR_FL);
  }
  EXPECT_THAT(SpreadSubdirectories(directory / "absent"),
              StatusIs(StatusCode::kNotFound, HasSubstr("absent")));
  // A file system without such hints.
  EXPECT_THAT(SpreadSubdirectories("/proc/self"), IsOk());
}

TEST(UuidTest, HasTheFormOfVersion4) {
  std::string a = NewUuid();
  EXPECT_TRUE(IsUuid(a)) << a;
  EXPECT_EQ(a[14], '4');
  EXPECT_NE(a, NewUuid());
  EXPECT_EQ(MachineIdOfUuid(a).size(), 32u);
  EXPECT_FALSE(IsUuid("x"));
}

TEST(ProcessIdTest, KnowsALiveProcessAndForgetsADeadOne) {
  pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  ASSERT_OK_AND_ASSIGN(ProcessIdentity identity, IdentifyProcess(pid));
  ASSERT_OK_AND_ASSIGN(ProcessHandle handle, ProcessHandle::Open(identity));
  EXPECT_TRUE(handle.IsAlive());
  EXPECT_THAT(handle.WaitForExit(absl::Milliseconds(5)),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(handle.Signal(SIGKILL), IsOk());
  EXPECT_THAT(handle.WaitForExit(absl::Seconds(5)), IsOk());
  waitpid(pid, nullptr, 0);
  EXPECT_THAT(ProcessHandle::Open(identity), StatusIs(StatusCode::kNotFound));
  identity.pid = getpid();
  EXPECT_THAT(ProcessHandle::Open(identity), StatusIs(StatusCode::kNotFound))
      << "the start time must tell a reused pid";
}

SubprocessSpec Shell(const std::string& script) {
  SubprocessSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {"sh", "-c", script};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.timeout = absl::Seconds(20);
  return spec;
}

TEST(SubprocessTest, PassesInputOutputAndExit) {
  SubprocessSpec spec = Shell("cat; echo oops >&2; exit 3");
  spec.stdin_data = std::string(300000, 'x');
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_TRUE(result.ExitedWith(3)) << result.DescribeExit();
  EXPECT_EQ(result.out, spec.stdin_data);
  EXPECT_EQ(result.err, "oops\n");
}

TEST(SubprocessTest, SurvivesAChildThatDoesNotRead) {
  SubprocessSpec spec = Shell("exit 0");
  spec.stdin_data = std::string(1 << 20, 'x');
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_TRUE(result.ExitedWith(0));
}

TEST(SubprocessTest, KillsTheWholeGroupOnTimeout) {
  testing::TempDir dir;
  SubprocessSpec spec =
      Shell("sleep 60 & echo $! > " + (dir / "pid") + "; wait");
  spec.timeout = absl::Milliseconds(500);
  EXPECT_THAT(RunSubprocess(spec),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("/bin/sh")));
  ASSERT_OK_AND_ASSIGN(std::string pid, ReadFile(dir / "pid"));
  absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (kill(std::stoi(pid), 0) == 0 && absl::Now() < deadline) {
    // Killed, but reaped by whoever is its parent now.
    auto stat = ReadFile("/proc/" + std::to_string(std::stoi(pid)) + "/stat");
    if (stat.ok() && stat->find(") Z ") != std::string::npos) return;
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_NE(kill(std::stoi(pid), 0), 0);
}

TEST(SubprocessTest, LimitsOutput) {
  SubprocessSpec spec = Shell("yes");
  spec.output_limit = 10000;
  EXPECT_THAT(RunSubprocess(spec), StatusIs(StatusCode::kResourceExhausted));
}

TEST(SubprocessTest, NamesTheProgramThatIsNotThere) {
  SubprocessSpec spec;
  spec.path = "/no/such/program";
  spec.argv = {"program"};
  EXPECT_THAT(RunSubprocess(spec),
              StatusIs(StatusCode::kNotFound, HasSubstr("/no/such/program")));
}

TEST(SubprocessTest, GivesTheChildOnlyTheNamedDescriptors) {
  UniqueFd stray(open("/dev/null", O_RDONLY));
  UniqueFd named(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  SubprocessSpec spec = Shell(
      "readlink /proc/self/fd/* | grep -c /dev/null; "
      "readlink /proc/self/fd/7");
  spec.fds = {{named.get(), 7}};
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.out, "0\n/dev/zero\n");
}

}  // namespace
}  // namespace davit
