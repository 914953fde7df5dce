#include "runtime/cgroup/hierarchy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

// This kind of test machine: every v1 controller apart, v2 without controllers.
constexpr char kHybridMounts[] =
    "23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup "
    "rw,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup "
    "rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
constexpr char kHybridMembership[] =
    "9:name=systemd:/\n4:memory:/process_api/8f84\n2:cpuacct:/\n1:cpu:/\n"
    "0::/\n";

TEST(ParseCgroupHierarchies, ResolvesEachOwnPathOfAHybridHost) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<CgroupHierarchy> found,
      ParseCgroupHierarchies(kHybridMounts, kHybridMembership));
  ASSERT_EQ(found.size(), 5u);
  EXPECT_TRUE(found[0].v2);
  EXPECT_THAT(found[0].controllers, IsEmpty());
  EXPECT_EQ(found[0].own_dir, "/sys/fs/cgroup/unified");
  CgroupHierarchy memory{.controllers = {"memory"},
                         .mount_point = "/sys/fs/cgroup/memory",
                         .own_path = "/process_api/8f84",
                         .own_dir = "/sys/fs/cgroup/memory/process_api/8f84"};
  EXPECT_EQ(found[3], memory);
}

TEST(ParseCgroupHierarchies, KnowsPureV2) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<CgroupHierarchy> found,
      ParseCgroupHierarchies(
          "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime "
          "shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate\n",
          "0::/system.slice/davitd.service\n"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].v2);
  EXPECT_EQ(found[0].own_dir, "/sys/fs/cgroup/system.slice/davitd.service");
}

// A v1 systemd host: co-mounted controllers, and options beside them.
TEST(ParseCgroupHierarchies, ParsesSuperblockOptionsAsTokens) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<CgroupHierarchy> found,
      ParseCgroupHierarchies(
          "31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
          "rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,"
          "name=systemd\n"
          "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
          "rw,cpu,cpuacct\n"
          "34 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup "
          "rw,cpuset,clone_children\n",
          "12:cpuset:/\n4:cpu,cpuacct:/system.slice\n"
          "1:name=systemd:/system.slice/a.service\n"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_THAT(found[0].controllers, ElementsAre("cpu", "cpuacct"));
  EXPECT_EQ(found[0].own_dir, "/sys/fs/cgroup/cpu,cpuacct/system.slice");
  EXPECT_THAT(found[1].controllers, ElementsAre("cpuset"));
  EXPECT_THAT(found[2].controllers, ElementsAre("name=systemd"));
}

TEST(ParseCgroupHierarchies, FollowsAMountOfAPartOfTheHierarchy) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<CgroupHierarchy> found,
      ParseCgroupHierarchies(
          "35 31 0:32 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup "
          "rw,memory\n",
          "4:memory:/docker/ab/x\n"));
  EXPECT_EQ(found[0].own_dir, "/sys/fs/cgroup/memory/x");
  EXPECT_THAT(ParseCgroupHierarchies(
                  "35 31 0:32 /docker/ab /sys/fs/cgroup/memory rw - cgroup "
                  "cgroup rw,memory\n",
                  "4:memory:/docker/abc\n"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ParseCgroupHierarchies, TakesTheFirstWritableMount) {
  ASSERT_OK_AND_ASSIGN(std::vector<CgroupHierarchy> found,
                       ParseCgroupHierarchies(
                           "1 0 0:1 / /ro ro,relatime - cgroup2 cgroup2 rw\n"
                           "2 0 0:1 / /with\\040space rw - cgroup2 cgroup2 rw\n"
                           "3 0 0:1 / /later rw - cgroup2 cgroup2 rw\n",
                           "0::/a\n"));
  EXPECT_THAT(found,
              ElementsAre(Field(&CgroupHierarchy::own_dir, "/with space/a")));
}

TEST(ParseCgroupHierarchies, LeavesOutWhatAnAgentMountedForItself) {
  EXPECT_THAT(
      ParseCgroupHierarchies("1 0 0:1 / /run/davit/unified rw - cgroup2 davit "
                             "rw,nsdelegate\n",
                             "0::/\n"),
      StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ParseCgroupHierarchies, LeavesOutWhatIsNotOurs) {
  EXPECT_THAT(ParseCgroupHierarchies(
                  "1 0 0:1 / /cg/elogind rw - cgroup cgroup rw,name=elogind\n"
                  "2 0 0:2 / /cg/memory rw - cgroup cgroup rw,memory\n",
                  "5:name=elogind:/x\n3:memory:/../other\n"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ParseCgroupHierarchies, SurvivesGarbage) {
  for (const char* mounts : {"", "\n", "x", "a b c - cgroup", "- - - -",
                             "1 2 3 4 5 6 - cgroup2 x"}) {
    EXPECT_THAT(ParseCgroupHierarchies(mounts, "0::/\n:::\n\n::"),
                StatusIs(absl::StatusCode::kFailedPrecondition))
        << mounts;
  }
}

}  // namespace
}  // namespace davit
