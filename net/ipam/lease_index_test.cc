#include "net/ipam/lease_index.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/ipam/disk_lease_store.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

Lease MakeLease(const std::string& ip, const std::string& id,
                const std::string& ifname = "eth0") {
  return {Ip(ip), {id, ifname}};
}

TEST(LeaseIndexTest, FindsByContainer) {
  LeaseIndex index = LeaseIndex::Of(
      {MakeLease("10.0.0.2", "a"), MakeLease("10.0.0.22", "aa"),
       MakeLease("fd00::2", "a", "eth1"), MakeLease("10.0.0.4", "b", "")});
  EXPECT_EQ(index.size(), 4u);
  EXPECT_THAT(index.Find("a"),
              UnorderedElementsAre(MakeLease("10.0.0.2", "a"),
                                   MakeLease("fd00::2", "a", "eth1")));
  EXPECT_THAT(index.Find("b"), ElementsAre(MakeLease("10.0.0.4", "b", "")));
  EXPECT_THAT(index.Find("c"), IsEmpty());
  index.Remove(Ip("10.0.0.22"));
  EXPECT_THAT(index.Find("aa"), IsEmpty());
  index.Remove(Ip("10.0.0.2"));
  index.Remove(Ip("10.0.0.9"));
  EXPECT_THAT(index.Find("a"), ElementsAre(MakeLease("fd00::2", "a", "eth1")));
  EXPECT_EQ(index.size(), 2u);
}

TEST(LeaseIndexTest, LeavesOutWhatIsNoName) {
  LeaseIndex index = LeaseIndex::Of(
      {MakeLease("10.0.0.2", "a b"), MakeLease("10.0.0.3", "a\n10.0.0.4 x")});
  EXPECT_EQ(index.size(), 0u);
  EXPECT_THAT(index.Find("x"), IsEmpty());
}

class LeaseIndexFileTest : public ::testing::Test {
 protected:
  LeaseIndexFileTest()
      : fd_(open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY)) {
    EXPECT_THAT(LeaseIndex::Of({MakeLease("10.0.0.2", "a")}).Write(fd_.get()),
                IsOk());
  }
  bool IsValid() { return LeaseIndex::Read(fd_.get()).ok(); }

  TempDir directory_;
  UniqueFd fd_;
};

TEST_F(LeaseIndexFileTest, IsReadBack) {
  ASSERT_OK_AND_ASSIGN(LeaseIndex index, LeaseIndex::Read(fd_.get()));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_THAT(index.Find("a"), ElementsAre(MakeLease("10.0.0.2", "a")));
  // Shorter than before, and empty.
  index.Remove(Ip("10.0.0.2"));
  ASSERT_THAT(index.Write(fd_.get()), IsOk());
  ASSERT_OK_AND_ASSIGN(index, LeaseIndex::Read(fd_.get()));
  EXPECT_EQ(index.size(), 0u);
}

TEST_F(LeaseIndexFileTest, AnyChangeOfTheDirectoryEndsIt) {
  ASSERT_TRUE(IsValid());
  const std::string file = directory_ / "10.0.0.3";
  UniqueFd made(open(file.c_str(), O_WRONLY | O_CREAT, 0600));
  ASSERT_TRUE(made.valid());
  EXPECT_THAT(
      LeaseIndex::Read(fd_.get()).status(),
      StatusIs(absl::StatusCode::kNotFound, "the directory has changed since"));
  ASSERT_THAT(LeaseIndex().Write(fd_.get()), IsOk());
  ASSERT_TRUE(IsValid());
  ASSERT_EQ(unlink(file.c_str()), 0);
  EXPECT_FALSE(IsValid());
}

TEST_F(LeaseIndexFileTest, ATornOneIsNotUsed) {
  ASSERT_OK_AND_ASSIGN(std::string content, ReadFile(directory_ / ".index"));
  for (size_t size = 0; size < content.size(); ++size) {
    ASSERT_EQ(
        truncate((directory_ / ".index").c_str(), static_cast<off_t>(size)), 0);
    EXPECT_FALSE(IsValid()) << size;
  }
}

// ---- In the store ----------------------------------------------------------

class IndexedStoreTest : public ::testing::Test {
 protected:
  static constexpr int kLeases = 200;

  void SetUp() override {
    ASSERT_THAT(MakeDirectories(directory_ / "net"), IsOk());
    for (int i = 0; i < kLeases; ++i) WriteLease(i, absl::StrCat("pod-", i));
  }
  // As Go's plugin writes it.
  void WriteLease(int number, const std::string& id) {
    UniqueFd fd(open(Path(number).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    ASSERT_THAT(WriteAll(fd.get(), id + "\r\neth0"), IsOk());
  }
  std::string Path(int number) {
    return absl::StrCat(directory_.path(), "/net/10.0.0.", number);
  }
  std::vector<std::string> Of(const std::string& id) {
    auto store = *DiskLeaseStore::Open(directory_.path(), "net");
    auto lock = *store->Lock();
    std::vector<Lease> leases = *store->ListOf({id, "eth0"});
    std::vector<std::string> addresses;
    for (const Lease& lease : leases) {
      addresses.push_back(lease.address.ToString());
    }
    return addresses;
  }

  TempDir directory_;
};

TEST_F(IndexedStoreTest, ReadsTheOthersOnceOnly) {
  EXPECT_THAT(Of("pod-7"), ElementsAre("10.0.0.7"));
  EXPECT_TRUE(PathExists(directory_ / "net/.index"));
  // In place, which nobody does: only who reads all the files would see it.
  WriteLease(8, "hidden");
  EXPECT_THAT(Of("hidden"), IsEmpty());
  // But what is found is looked at.
  EXPECT_THAT(Of("pod-8"), IsEmpty());
  EXPECT_THAT(Of("pod-9"), ElementsAre("10.0.0.9"));
}

TEST_F(IndexedStoreTest, SeesWhatOthersMakeAndRemove) {
  EXPECT_THAT(Of("other"), IsEmpty());
  WriteLease(kLeases + 1, "other");
  EXPECT_THAT(Of("other"), ElementsAre("10.0.0.201"));
  EXPECT_THAT(Of("pod-5"), ElementsAre("10.0.0.5"));
  ASSERT_EQ(unlink(Path(5).c_str()), 0);
  EXPECT_THAT(Of("pod-5"), IsEmpty());
}

TEST_F(IndexedStoreTest, KeepsUpWithItself) {
  auto store = *DiskLeaseStore::Open(directory_.path(), "net");
  for (int round = 0; round < 3; ++round) {
    auto lock = *store->Lock();
    EXPECT_THAT(*store->ListOf({"new", "eth0"}), IsEmpty());
    EXPECT_TRUE(*store->Reserve(Ip("10.0.1.1"), {"new", "eth0"}, 0));
    lock.reset();
    lock = *store->Lock();
    EXPECT_EQ(store->ListOf({"new", "eth0"})->size(), 1u);
    EXPECT_THAT(store->Release(Ip("10.0.1.1")), IsOk());
  }
  EXPECT_THAT(Of("new"), IsEmpty());
  // Changes without a look-up before them.
  {
    auto lock = *store->Lock();
    EXPECT_TRUE(*store->Reserve(Ip("10.0.1.2"), {"blind", "eth0"}, 0));
  }
  EXPECT_THAT(Of("blind"), ElementsAre("10.0.1.2"));
}

TEST_F(IndexedStoreTest, FewLeasesHaveNone) {
  for (int i = 3; i < kLeases; ++i) ASSERT_EQ(unlink(Path(i).c_str()), 0);
  EXPECT_THAT(Of("pod-1"), ElementsAre("10.0.0.1"));
  EXPECT_FALSE(PathExists(directory_ / "net/.index"));
}

TEST_F(IndexedStoreTest, AHostileIndexIsNotFollowed) {
  ASSERT_EQ(symlink("/dev/zero", (directory_ / "net/.index").c_str()), 0);
  EXPECT_THAT(Of("pod-7"), ElementsAre("10.0.0.7"));
  ASSERT_EQ(unlink((directory_ / "net/.index").c_str()), 0);
  ASSERT_THAT(MakeDirectories(directory_ / "net/.index"), IsOk());
  EXPECT_THAT(Of("pod-7"), ElementsAre("10.0.0.7"));
}

}  // namespace
}  // namespace davit
