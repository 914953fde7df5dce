// A lease directory on a file system that is full: a clear error, and neither a
// lease too many nor one too few.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/ipam/allocator.h"
#include "net/ipam/disk_lease_store.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

// A file system of its own for the store, in a mount namespace of its own.
class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void TearDown() override { umount2(directory_.path().c_str(), MNT_DETACH); }
  void Mount(const char* options) {
    ASSERT_EQ(mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, options),
              0);
    store_ = *DiskLeaseStore::Open(directory_.path(), "net");
  }
  absl::Status Allocate(int number) {
    std::vector<RangeSet> sets;
    for (const char* subnet : {"10.0.0.0/16", "fd00::/64"}) {
      sets.push_back(*RangeSet::Create(
          {*Range::Create({.subnet = *IpPrefix::Parse(subnet)})}));
    }
    Allocator allocator(store_.get(), std::move(sets));
    return allocator.Allocate({absl::StrCat("pod-", number), "eth0"}, {})
        .status();
  }
  size_t Leases() {
    auto lock = *store_->Lock();
    return store_->List()->size();
  }

  TempDir directory_;
  std::unique_ptr<DiskLeaseStore> store_;
};

void ExpectWhole(const absl::Status& status) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr("No space left on device")));
}

TEST_F(FullDiskTest, NoInodeIsLeft) {
  Mount("nr_inodes=24");
  int held = 0;
  absl::Status status;
  while ((status = Allocate(held)).ok()) ASSERT_LT(++held, 24);
  ExpectWhole(status);
  EXPECT_THAT(status.message(), HasSubstr(directory_.path() + "/net"));
  // Of the pod that failed nothing is left, of the others all.
  EXPECT_EQ(Leases(), 2u * static_cast<size_t>(held));
  ASSERT_GT(held, 2);
  ASSERT_THAT(ReleaseLeases(store_.get(), {"pod-0", "eth0"}), IsOk());
  EXPECT_EQ(Leases(), 2u * static_cast<size_t>(held - 1));
  EXPECT_THAT(Allocate(100), IsOk());
}

TEST_F(FullDiskTest, NoBlockIsLeft) {
  Mount("size=64k");
  ASSERT_THAT(Allocate(0), IsOk());
  // All the rest is somebody else's.
  std::string filler = directory_ / "filler";
  EXPECT_THAT(WriteFileAtomic(filler, std::string(1 << 20, 'x')),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("")));
  size_t size = 64 << 10;
  while (size > 0 && !WriteFileAtomic(filler, std::string(size, 'x')).ok()) {
    size -= 4096;
  }
  ASSERT_GT(size, 0u);
  ExpectWhole(Allocate(1));
  EXPECT_EQ(Leases(), 2u);
  ASSERT_THAT(RemoveFile(filler), IsOk());
  EXPECT_THAT(Allocate(1), IsOk());
  EXPECT_EQ(Leases(), 4u);
}

}  // namespace
}  // namespace davit
