#include "agent/rpc/node_facts.h"

#include <gmock/gmock.h>

namespace davit {
namespace {

using ::testing::AnyOf;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kUnified[] =
    "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kLegacy[] =
    "29 24 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "31 29 0:27 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup cg rw\n";
constexpr char kHybrid[] =
    "29 24 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "31 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

TEST(NodeFactsTest, CgroupLayouts) {
  EXPECT_EQ(CgroupLayout(kUnified), "unified");
  EXPECT_EQ(CgroupLayout(kLegacy), "legacy");
  EXPECT_EQ(CgroupLayout(kHybrid), "hybrid");
}

TEST(NodeFactsTest, OtherMountsTellNothing) {
  EXPECT_EQ(CgroupLayout(""), "");
  EXPECT_EQ(CgroupLayout("nonsense\n- - -\n1 2 3 4 /sys/fs/cgroup -"), "");
  // A pod's own tree, somewhere else.
  EXPECT_EQ(CgroupLayout("1 2 0:1 / /srv/sys/fs/cgroup rw - cgroup2 c rw\n"),
            "");
}

TEST(NodeFactsTest, PrettyNames) {
  EXPECT_EQ(PrettyName("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12");
  EXPECT_EQ(PrettyName("PRETTY_NAME=Plain"), "Plain");
  EXPECT_EQ(PrettyName("PRETTY_NAME='x'"), "x");
  EXPECT_EQ(PrettyName("PRETTY_NAME=\""), "\"");
  EXPECT_EQ(PrettyName("NAME=x"), "");
}

TEST(NodeFactsTest, ThisMachine) {
  NodeFacts facts = ReadNodeFacts();
  EXPECT_THAT(facts.hostname, Not(IsEmpty()));
  EXPECT_THAT(facts.kernel, Not(IsEmpty()));
  EXPECT_THAT(facts.architecture, Not(IsEmpty()));
  EXPECT_THAT(facts.cgroup_layout,
              AnyOf("unified", "hybrid", "legacy", IsEmpty()));
  EXPECT_THAT(facts.cpus, Gt(0));
  EXPECT_THAT(facts.memory_bytes, Gt(64u << 20));
}

}  // namespace
}  // namespace davit
