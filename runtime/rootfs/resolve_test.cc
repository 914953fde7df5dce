#include "runtime/rootfs/resolve.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ResolveTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& data,
           mode_t mode = 0644) {
    std::string full = root_ + path;
    ASSERT_THAT(MakeDirectories(full.substr(0, full.rfind('/'))), IsOk());
    ASSERT_THAT(WriteFileAtomic(full, data, mode), IsOk());
  }
  void Link(const std::string& path, const std::string& target) {
    std::string full = root_ + path;
    ASSERT_THAT(MakeDirectories(full.substr(0, full.rfind('/'))), IsOk());
    ASSERT_EQ(symlink(target.c_str(), full.c_str()), 0);
  }
  absl::StatusOr<std::string> Command(const std::string& command,
                                      const std::string& path = "/usr/bin:/bin",
                                      const std::string& directory = "/") {
    return ResolveCommand(root_, command, path, directory);
  }

  TempDir dir_;
  const std::string root_ = dir_ / "root";
};

TEST_F(ResolveTest, CommandsAreFoundInPath) {
  Put("/bin/tool", "", 0755);
  Put("/usr/bin/tool", "", 0755);
  Put("/usr/local/bin/mine", "", 0700);
  EXPECT_EQ(*Command("tool"), "/usr/bin/tool");
  EXPECT_EQ(*Command("tool", "/bin:/usr/bin"), "/bin/tool");
  EXPECT_EQ(*Command("tool", "/bin/"), "/bin/tool");
  // The default has /usr/local/bin.
  EXPECT_EQ(*Command("mine", ""), "/usr/local/bin/mine");
  EXPECT_THAT(Command("mine"), StatusIs(absl::StatusCode::kNotFound,
                                        "command \"mine\" not found in $PATH"));
}

TEST_F(ResolveTest, RelativeOnesStartAtTheWorkingDirectory) {
  Put("/app/run", "", 0755);
  Put("/app/bin/run", "", 0755);
  EXPECT_EQ(*Command("./run", "", "/app"), "/app/./run");
  EXPECT_EQ(*Command("bin/run", "", "/app/"), "/app/bin/run");
  EXPECT_EQ(*Command("bin/run", "", "app"), "/app/bin/run");
  EXPECT_EQ(*Command("../app/run", "", "/app"), "/app/../app/run");
  EXPECT_EQ(*Command("run", "bin", "/app"), "/app/bin/run");
  // An empty element of $PATH is the working directory (execvp(3)).
  EXPECT_EQ(*Command("run", "/usr/bin:", "/app"), "/app/run");
  EXPECT_EQ(*Command("/app/run", "", ""), "/app/run");
  EXPECT_THAT(Command("./run", "", ""),
              StatusIs(absl::StatusCode::kNotFound, "/./run: no such file"));
}

TEST_F(ResolveTest, WhatCannotBeExecutedIsDenied) {
  Put("/bin/data", "", 0644);
  Put("/bin/dir/x", "");
  ASSERT_EQ(mkfifo((root_ + "/bin/fifo").c_str(), 0755), 0);
  constexpr auto kDenied = absl::StatusCode::kPermissionDenied;
  EXPECT_THAT(Command("/bin/data"),
              StatusIs(kDenied, "/bin/data is not executable"));
  EXPECT_THAT(Command("/bin/dir"),
              StatusIs(kDenied, "/bin/dir is a directory"));
  EXPECT_THAT(Command("/bin/fifo"),
              StatusIs(kDenied, "/bin/fifo is not a regular file"));
  EXPECT_THAT(Command("data"),
              StatusIs(kDenied, "/bin/data is not executable"));
  EXPECT_THAT(Command("/bin/data/x"), StatusIs(absl::StatusCode::kNotFound,
                                               "/bin/data/x: no such file"));
  // One that can be executed further on wins.
  Put("/sbin/data", "", 0755);
  EXPECT_EQ(*Command("data", "/bin:/sbin"), "/sbin/data");
}

TEST_F(ResolveTest, SymlinksStayInTheRoot) {
  Put("/usr/bin/busybox", "", 0755);
  Link("/bin", "usr/bin");
  Link("/usr/bin/ls", "/bin/busybox");
  Link("/usr/bin/up", "../../../../../../usr/bin/busybox");
  // Absolute links mean the image's files, so these exist only outside.
  Link("/usr/bin/host", dir_ / "host");
  Link("/usr/bin/loop", "loop");
  ASSERT_THAT(WriteFileAtomic(dir_ / "host", "", 0755), IsOk());
  EXPECT_EQ(*Command("ls", "/bin"), "/bin/ls");
  EXPECT_EQ(*Command("up"), "/usr/bin/up");
  EXPECT_THAT(Command("/usr/bin/host"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Command("/../../host"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Command("/usr/bin/loop"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("too many levels of symbolic links")));
  Link("/usr/bin/magic", "/proc/self/exe");
  EXPECT_THAT(Command("/usr/bin/magic"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResolveTest, BadCommandsAreRefused) {
  Put("/x", "");
  EXPECT_THAT(Command(""),
              StatusIs(absl::StatusCode::kInvalidArgument, "command is empty"));
  EXPECT_THAT(Command(std::string("/x\0y", 4)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ResolveCommand(dir_ / "absent", "/x", "", "/"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
}

class ResolveUserTest : public ResolveTest {
 protected:
  ResolveUserTest() {
    Put("/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n"
        "# not an entry\n"
        "web:x:33:34:web:/var/www:/usr/sbin/nologin\n"
        "1000:x:7:7::/seven:/bin/sh\n"
        "broken:x:abc:1::/:/\n"
        "minus:x:4294967295:1::/:/\n"
        "homeless:x:50:50:::/bin/sh");
    Put("/etc/group",
        "root:x:0:\nwww:x:34:web\nmedia:x:44:other,web\nlogs:x:45:web\n"
        "again:x:45:web\n");
  }
};

TEST_F(ResolveUserTest, TakesAllForms) {
  struct Case {
    const char* user;
    unsigned uid, gid;
    std::vector<unsigned> groups;
    const char* home;
  };
  Case cases[] = {
      {"", 0, 0, {}, "/root"},
      {"root", 0, 0, {}, "/root"},
      {"web", 33, 34, {44, 45}, "/var/www"},
      {"33", 33, 34, {44, 45}, "/var/www"},
      {"web:", 33, 34, {44, 45}, "/var/www"},
      {"web:media", 33, 44, {}, "/var/www"},
      {"web:99", 33, 99, {}, "/var/www"},
      {"4000", 4000, 0, {}, "/"},
      {"4000:media", 4000, 44, {}, "/"},
      {"4000:4001", 4000, 4001, {}, "/"},
      {":media", 0, 44, {}, "/root"},
      {"1000", 7, 7, {}, "/seven"},  // a name, before it is a number
      {"homeless", 50, 50, {}, "/"},
      {"4294967294", 4294967294, 0, {}, "/"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.user);
    ASSERT_OK_AND_ASSIGN(ResolvedUser user, ResolveUser(root_, c.user));
    EXPECT_EQ(user.uid, c.uid);
    EXPECT_EQ(user.gid, c.gid);
    EXPECT_EQ(user.supplementary_gids, c.groups);
    EXPECT_EQ(user.home, c.home);
  }
}

TEST_F(ResolveUserTest, UnknownOnesAreNotFound) {
  for (const char* user : {"nobody", "broken", "minus", "-1", "+5", " 5",
                           "4294967295", "99999999999", "0x10"}) {
    EXPECT_THAT(ResolveUser(root_, user),
                StatusIs(absl::StatusCode::kNotFound,
                         HasSubstr(std::string("user \"") + user + "\"")));
  }
  EXPECT_THAT(
      ResolveUser(root_, "web:nogroup"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("group \"nogroup\"")));
  EXPECT_THAT(ResolveUser(root_, "web:1:2"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"1:2\"")));
}

TEST_F(ResolveUserTest, ImagesWithoutTheFilesHaveNumbersOnly) {
  std::string bare = dir_ / "bare";
  ASSERT_THAT(MakeDirectories(bare), IsOk());
  ASSERT_OK_AND_ASSIGN(ResolvedUser user, ResolveUser(bare, "5:6"));
  EXPECT_EQ(user.uid, 5u);
  EXPECT_EQ(user.gid, 6u);
  EXPECT_EQ(user.home, "/");
  EXPECT_EQ(ResolveUser(bare, "")->uid, 0u);
  EXPECT_THAT(ResolveUser(bare, "root"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResolveUserTest, HostileFilesDoNoHarm) {
  // The host's passwd must not be read through a link.
  unlink((root_ + "/etc/passwd").c_str());
  std::string outside = dir_ / "passwd";
  ASSERT_THAT(WriteFileAtomic(outside, "evil:x:0:0::/:/\n"), IsOk());
  Link("/etc/passwd", outside);
  EXPECT_THAT(ResolveUser(root_, "evil"),
              StatusIs(absl::StatusCode::kNotFound));
  unlink((root_ + "/etc/passwd").c_str());
  Link("/etc/passwd", "../../passwd");
  EXPECT_THAT(ResolveUser(root_, "evil"),
              StatusIs(absl::StatusCode::kNotFound));
  // A FIFO must not make us wait for its writer.
  unlink((root_ + "/etc/passwd").c_str());
  ASSERT_EQ(mkfifo((root_ + "/etc/passwd").c_str(), 0644), 0);
  EXPECT_THAT(ResolveUser(root_, "web"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "/etc/passwd is not a regular file"));
  unlink((root_ + "/etc/passwd").c_str());
  Put("/etc/passwd", "");
  ASSERT_EQ(truncate((root_ + "/etc/passwd").c_str(), 1 << 30), 0);
  EXPECT_THAT(ResolveUser(root_, "web"),
              StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace davit
