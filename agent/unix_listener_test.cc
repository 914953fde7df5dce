#include "agent/unix_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <optional>

#include "agent/file_lock.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kNoGroup[] = "no-such-group-here";

UniqueFd Connect(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) < 0) {
    return UniqueFd();
  }
  return fd;
}

TEST(FileLockTest, OnlyOneHolds) {
  TempDir dir;
  std::optional<FileLock> first;
  ASSERT_OK_AND_ASSIGN(first, FileLock::Acquire(dir / "lock", "--root /r"));
  EXPECT_THAT(
      FileLock::Acquire(dir / "lock", "--root /r"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("--root /r belongs to another agent"),
                     HasSubstr(" (pid " + std::to_string(getpid()) + ")"),
                     HasSubstr(dir / "lock"))));
  first.reset();
  EXPECT_THAT(FileLock::Acquire(dir / "lock", "x"), IsOk());
}

TEST(FileLockTest, NeverFollowsASymlink) {
  TempDir dir;
  ASSERT_THAT(WriteFileAtomic(dir / "precious", "data"), IsOk());
  ASSERT_EQ(symlink((dir / "precious").c_str(), (dir / "lock").c_str()), 0);
  EXPECT_FALSE(FileLock::Acquire(dir / "lock", "x").ok());
  EXPECT_EQ(*ReadFile(dir / "precious"), "data");
}

TEST(UnixListenerTest, ListensAndCleansUp) {
  TempDir dir;
  const std::string path = dir / "run/davit.sock";
  {
    ASSERT_OK_AND_ASSIGN(UnixListener listener,
                         UnixListener::Listen(path, kNoGroup));
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0660);
    EXPECT_EQ(info.st_gid, getegid());
    EXPECT_TRUE(Connect(path).valid());
  }
  EXPECT_FALSE(PathExists(path));
}

TEST(UnixListenerTest, GivesTheSocketToTheGroup) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(UnixListener listener,
                       UnixListener::Listen(dir / "s", "daemon"));
  struct stat info;
  ASSERT_EQ(stat(listener.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_gid, 1);  // Debian's base-passwd
}

TEST(UnixListenerTest, ReplacesWhatACrashLeft) {
  TempDir dir;
  const std::string path = dir / "davit.sock";
  UniqueFd stale(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(
      bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  stale.Reset();
  ASSERT_TRUE(PathExists(path));
  ASSERT_OK_AND_ASSIGN(UnixListener listener,
                       UnixListener::Listen(path, kNoGroup));
  EXPECT_TRUE(Connect(path).valid());
}

TEST(UnixListenerTest, LeavesAnotherAgentsSocketAlone) {
  TempDir dir;
  const std::string path = dir / "davit.sock";
  ASSERT_OK_AND_ASSIGN(UnixListener first,
                       UnixListener::Listen(path, kNoGroup));
  EXPECT_THAT(
      UnixListener::Listen(path, kNoGroup),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("socket " + path + " belongs to another agent")));
  EXPECT_TRUE(Connect(path).valid());
}

TEST(UnixListenerTest, LeavesOtherFilesAlone) {
  TempDir dir;
  ASSERT_THAT(WriteFileAtomic(dir / "s", "data"), IsOk());
  EXPECT_THAT(UnixListener::Listen(dir / "s", kNoGroup),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("exists and is not a socket")));
  EXPECT_EQ(*ReadFile(dir / "s"), "data");
}

TEST(UnixListenerTest, RefusesAPathThatIsTooLong) {
  TempDir dir;
  EXPECT_THAT(
      UnixListener::Listen(dir / std::string(120, 'x'), kNoGroup),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too long")));
}

}  // namespace
}  // namespace davit
