#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/rootfs/private_mounts.h"
#include "runtime/userns/file_owner.h"
#include "runtime/userns/pod_userns.h"
#include "runtime/userns/user_namespace.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::TempDir;

TEST(UserNamespace, MapsItsRootToTheBase) {
  ASSERT_OK_AND_ASSIGN(UniqueFd userns, CreateUserNamespace(0x80000));
  uid_t owner = 1;
  ASSERT_EQ(ioctl(userns.get(), NS_GET_OWNER_UID, &owner), 0);
  EXPECT_EQ(owner, 0u);
  SubprocessSpec spec;
  spec.path = "/usr/bin/nsenter";
  spec.argv = {"nsenter", "--user=/proc/self/fd/9", "cat", "/proc/self/uid_map",
               "/proc/self/gid_map"};
  spec.fds = {{userns.get(), 9}};
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.out,
            "         0     524288      65536\n"
            "         0     524288      65536\n")
      << result.err;
}

TEST(UserNamespace, OwnsANetworkNamespace) {
  ASSERT_OK_AND_ASSIGN(UniqueFd userns, CreateUserNamespace(0x80000));
  ASSERT_OK_AND_ASSIGN(UniqueFd netns, CreateNetnsOwnedBy(userns.get()));
  UniqueFd owner(ioctl(netns.get(), NS_GET_USERNS));
  struct stat a = {}, b = {};
  ASSERT_EQ(fstat(userns.get(), &a), 0);
  ASSERT_EQ(fstat(owner.get(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST(UserNamespace, SaysWhyThereIsNone) {
  UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(CreateNetnsOwnedBy(file.get()),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PodUserns, IsPinnedAndGoesAway) {
  TempDir dir;
  IdRanges ranges({.directory = dir / "ranges"});
  std::string runtime_dir = dir / "pod";
  ASSERT_THAT(MakeDirectories(runtime_dir), IsOk());
  InPrivateMounts([&] {
    ASSERT_OK_AND_ASSIGN(PodUserns userns,
                         PreparePodUserns(ranges, runtime_dir));
    EXPECT_GE(userns.base, IdRanges::kFirst);
    UniqueFd fd(open(userns.path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(ioctl(fd.get(), NS_GET_NSTYPE), CLONE_NEWUSER);
    // Again, as after a crash: the same range, no second mount.
    EXPECT_EQ(*PreparePodUserns(ranges, runtime_dir), userns);
    EXPECT_THAT(RemovePodUserns(ranges, runtime_dir), IsOk());
    EXPECT_FALSE(PathExists(userns.path));
    EXPECT_FALSE(PathExists(dir / absl::StrCat("ranges/", userns.base)));
    EXPECT_THAT(RemovePodUserns(ranges, runtime_dir), IsOk());
  });
}

TEST(CreateFilesAs, GivesFilesAwayAndKeepsPrivileges) {
  TempDir dir;
  std::thread([&] {
    ASSERT_THAT(CreateFilesAs(4711, 4712), IsOk());
    EXPECT_THAT(MakeDirectories(dir / "made"), IsOk());
    // A directory that uid 4711 may not enter.
    ASSERT_EQ(chmod(dir.path().c_str(), 0700), 0);
    EXPECT_TRUE(PathExists(dir / "made"));
    EXPECT_EQ(mknod((dir / "node").c_str(), S_IFCHR, makedev(1, 3)), 0);
    ASSERT_THAT(CreateFilesAs(0, 0), IsOk());
  }).join();
  struct stat st = {};
  ASSERT_EQ(stat((dir / "made").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 4711u);
  EXPECT_EQ(st.st_gid, 4712u);
}

}  // namespace
}  // namespace davit
