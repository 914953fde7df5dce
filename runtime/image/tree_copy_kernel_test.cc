#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "runtime/base/file.h"
#include "runtime/image/test_images.h"
#include "runtime/image/tree_copy.h"
#include "runtime/image/tree_digest.h"
#include "runtime/rootfs/private_mounts.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::Put;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

UniqueFd OpenDir(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

std::string DigestOf(const std::string& path) {
  return TreeDigest(OpenDir(path).get()).value_or("<error>");
}

class TreeCopyTest : public ::testing::Test {
 protected:
  TreeCopyTest() {
    mkdir(from_.c_str(), 0755);
    mkdir(to_.c_str(), 0755);
  }

  absl::StatusOr<UnpackedTree> Copy(const UnpackLimits& limits = {},
                                    ReadProgress* progress = nullptr) {
    return CopyTree(OpenDir(from_).get(), OpenDir(to_), limits, progress);
  }
  struct stat Stat(const std::string& path) {
    struct stat st = {};
    lstat((to_ + "/" + path).c_str(), &st);
    return st;
  }

  TempDir dir_;
  const std::string from_ = dir_ / "from";
  const std::string to_ = dir_ / "to";
};

TEST_F(TreeCopyTest, KeepsEverythingButSockets) {
  Put(from_ + "/etc/passwd", "root");
  chmod((from_ + "/etc").c_str(), 01711);
  EXPECT_EQ(chown((from_ + "/etc/passwd").c_str(), 12, 34), 0);
  chmod((from_ + "/etc/passwd").c_str(), 04751);
  setxattr((from_ + "/etc/passwd").c_str(), "user.x", "y", 1, 0);
  EXPECT_EQ(link((from_ + "/etc/passwd").c_str(), (from_ + "/same").c_str()),
            0);
  EXPECT_EQ(symlink("/does/not/exist", (from_ + "/link").c_str()), 0);
  mkfifo((from_ + "/fifo").c_str(), 0600);
  mknod((from_ + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3));
  timespec times[2] = {{1, 2}, {1234567890, 987654321}};
  utimensat(AT_FDCWD, (from_ + "/etc").c_str(), times, 0);
  Put(from_ + "/hole", "start");
  EXPECT_EQ(truncate((from_ + "/hole").c_str(), 64 << 20), 0);

  ASSERT_OK_AND_ASSIGN(UnpackedTree copied, Copy());
  EXPECT_EQ(DigestOf(to_), DigestOf(from_));
  EXPECT_EQ(copied.size_bytes, 4u + (64 << 20));
  EXPECT_EQ(Stat("etc").st_mtim.tv_nsec, 987654321);
  EXPECT_EQ(Stat("etc/passwd").st_mode, S_IFREG | 04751u);
  EXPECT_EQ(Stat("same").st_ino, Stat("etc/passwd").st_ino);
  EXPECT_LT(Stat("hole").st_blocks, 64);

  UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX};
  std::string socket_path = from_ + "/socket";
  ASSERT_LT(socket_path.size(), sizeof(address.sun_path));
  socket_path.copy(address.sun_path, socket_path.size());
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)),
            0);
  mkdir((dir_ / "again").c_str(), 0755);
  EXPECT_THAT(
      CopyTree(OpenDir(from_).get(), OpenDir(dir_ / "again"), {}, nullptr),
      IsOk());
  EXPECT_FALSE(PathExists(dir_ / "again/socket"));
  EXPECT_TRUE(PathExists(dir_ / "again/etc/passwd"));
}

TEST_F(TreeCopyTest, NeverEntersAnotherMount) {
  Put(from_ + "/kept", "x");
  Put(from_ + "/file", "below the mount");
  mkdir((from_ + "/tmpfs").c_str(), 0755);
  mkdir((from_ + "/bind").c_str(), 0755);
  Put(dir_ / "elsewhere/secret", "secret");
  InPrivateMounts([&] {
    ASSERT_EQ(mount("none", (from_ + "/tmpfs").c_str(), "tmpfs", 0, ""), 0);
    Put(from_ + "/tmpfs/secret", "secret");
    // The same file system, so st_dev would not tell.
    ASSERT_EQ(mount((dir_ / "elsewhere").c_str(), (from_ + "/bind").c_str(), "",
                    MS_BIND, ""),
              0);
    ASSERT_EQ(mount((dir_ / "elsewhere/secret").c_str(),
                    (from_ + "/file").c_str(), "", MS_BIND, ""),
              0);
    ASSERT_THAT(Copy(), IsOk());
  });
  EXPECT_TRUE(PathExists(to_ + "/kept"));
  EXPECT_FALSE(PathExists(to_ + "/file"));
  EXPECT_TRUE(std::filesystem::is_empty(to_ + "/tmpfs"));
  EXPECT_TRUE(std::filesystem::is_empty(to_ + "/bind"));
}

TEST_F(TreeCopyTest, IsBoundedAndCanBeCancelled) {
  Put(from_ + "/a", "12345");
  Put(from_ + "/b", "12345");
  EXPECT_THAT(Copy({.max_entries = 2}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("b: more than 2 entries")));
  EXPECT_THAT(Copy({.max_bytes = 9}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("b: files are larger than 9 bytes")));
  uint64_t seen = 0;
  ReadProgress progress([&](uint64_t bytes) {
    seen = bytes;
    return false;
  });
  EXPECT_THAT(Copy({}, &progress), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(seen, 5u);
}

TEST_F(TreeCopyTest, DigestSeesEveryDifference) {
  auto make = [&](const std::string& name) {
    std::string root = dir_ / name;
    Put(root + "/d/a", "contents");
    Put(root + "/d/b", "contents");
    EXPECT_EQ(symlink("target", (root + "/link").c_str()), 0);
    timespec times[2] = {{5, 0}, {5, 0}};
    for (const char* path : {"/d/a", "/d/b", "/d", "/link", ""}) {
      utimensat(AT_FDCWD, (root + path).c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
    return root;
  };
  std::string reference = DigestOf(make("reference"));
  EXPECT_EQ(DigestOf(make("twin")), reference);

  std::pair<const char*, std::function<void(const std::string&)>> changes[] = {
      {"mode", [](const std::string& r) { chmod((r + "/d").c_str(), 0700); }},
      {"owner",
       [](const std::string& r) {
         EXPECT_EQ(lchown((r + "/link").c_str(), 1, 0), 0);
       }},
      {"xattr",
       [](const std::string& r) {
         setxattr((r + "/d/a").c_str(), "user.x", "1", 1, 0);
       }},
      {"time",
       [](const std::string& r) {
         timespec t[2] = {{5, 0}, {5, 1}};
         utimensat(AT_FDCWD, (r + "/d/a").c_str(), t, 0);
       }},
      {"contents",
       [](const std::string& r) {
         UniqueFd fd(open((r + "/d/a").c_str(), O_WRONLY | O_CLOEXEC));
         ASSERT_EQ(pwrite(fd.get(), "C", 1, 0), 1);
         timespec t[2] = {{5, 0}, {5, 0}};
         futimens(fd.get(), t);
       }},
      {"hard link instead of copy",
       [](const std::string& r) {
         unlink((r + "/d/b").c_str());
         EXPECT_EQ(link((r + "/d/a").c_str(), (r + "/d/b").c_str()), 0);
         timespec t[2] = {{5, 0}, {5, 0}};
         utimensat(AT_FDCWD, (r + "/d").c_str(), t, 0);
       }},
  };
  for (const auto& [what, change] : changes) {
    SCOPED_TRACE(what);
    std::string root = make(what);
    change(root);
    EXPECT_NE(DigestOf(root), reference);
  }
}

TEST_F(TreeCopyTest, TooDeepIsRefused) {
  std::string path = from_;
  for (int i = 0; i < 260; ++i) path += "/d";
  ASSERT_THAT(MakeDirectories(path), IsOk());
  EXPECT_THAT(Copy(), StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("deeper than 256")));
}

}  // namespace
}  // namespace davit
