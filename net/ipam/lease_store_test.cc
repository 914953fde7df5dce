#include "net/ipam/lease_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/ipam/disk_lease_store.h"
#include "net/ipam/fake_lease_store.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

// ---- What every store must do ----------------------------------------------

using Factory =
    std::function<std::unique_ptr<LeaseStore>(const std::string& directory)>;

std::unique_ptr<LeaseStore> MakeDisk(const std::string& directory) {
  return *DiskLeaseStore::Open(directory, "net");
}
std::unique_ptr<LeaseStore> MakeFake(const std::string&) {
  return std::make_unique<FakeLeaseStore>();
}

class LeaseStoreConformance : public ::testing::TestWithParam<Factory> {
 protected:
  TempDir directory_;
  std::unique_ptr<LeaseStore> store_ = GetParam()(directory_.path());
  const LeaseOwner pod_{"pod-1", "eth0"};
};

TEST_P(LeaseStoreConformance, StartsEmpty) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->List());
  EXPECT_THAT(leases, IsEmpty());
  EXPECT_EQ(store_->LastReserved(0), std::nullopt);
}

TEST_P(LeaseStoreConformance, ReservesOnce) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_OK_AND_ASSIGN(bool first, store_->Reserve(Ip("10.0.0.2"), pod_, 0));
  EXPECT_TRUE(first);
  ASSERT_OK_AND_ASSIGN(bool again, store_->Reserve(Ip("10.0.0.2"), pod_, 0));
  EXPECT_FALSE(again);
  ASSERT_OK_AND_ASSIGN(bool other,
                       store_->Reserve(Ip("10.0.0.2"), {"x", "y"}, 0));
  EXPECT_FALSE(other);
  ASSERT_OK_AND_ASSIGN(auto leases, store_->List());
  EXPECT_THAT(leases, UnorderedElementsAre(Lease{Ip("10.0.0.2"), pod_}));
}

TEST_P(LeaseStoreConformance, KeepsFamiliesAndOwnersApart) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  const LeaseOwner second{"pod-1", "eth1"};
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.2"), pod_, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("fd00::2"), pod_, 1), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.3"), second, 0), IsOk());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->List());
  EXPECT_THAT(LeasesOf(leases, pod_),
              UnorderedElementsAre(Lease{Ip("10.0.0.2"), pod_},
                                   Lease{Ip("fd00::2"), pod_}));
  EXPECT_THAT(LeasesOf(leases, second),
              UnorderedElementsAre(Lease{Ip("10.0.0.3"), second}));
}

TEST_P(LeaseStoreConformance, ListsTheLeasesOfOneOwner) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.2"), pod_, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.3"), {"pod-2", "eth0"}, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.4"), {"pod-1", "eth1"}, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("fd00::2"), pod_, 1), IsOk());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->ListOf(pod_));
  EXPECT_THAT(leases, UnorderedElementsAre(Lease{Ip("10.0.0.2"), pod_},
                                           Lease{Ip("fd00::2"), pod_}));
  ASSERT_THAT(store_->Release(Ip("10.0.0.2")), IsOk());
  ASSERT_OK_AND_ASSIGN(leases, store_->ListOf(pod_));
  EXPECT_THAT(leases, UnorderedElementsAre(Lease{Ip("fd00::2"), pod_}));
}

TEST_P(LeaseStoreConformance, ReleasesAndReusesAndToleratesAbsence) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  EXPECT_THAT(store_->Release(Ip("10.0.0.2")), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.2"), pod_, 0), IsOk());
  EXPECT_THAT(store_->Release(Ip("10.0.0.2")), IsOk());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->List());
  EXPECT_THAT(leases, IsEmpty());
  ASSERT_OK_AND_ASSIGN(bool again, store_->Reserve(Ip("10.0.0.2"), pod_, 0));
  EXPECT_TRUE(again);
}

TEST_P(LeaseStoreConformance, RemembersTheLastReservedOfEachSet) {
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.2"), pod_, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("fd00::2"), pod_, 1), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.3"), pod_, 0), IsOk());
  ASSERT_THAT(store_->Reserve(Ip("10.0.0.3"), pod_, 7), IsOk());  // refused
  ASSERT_THAT(store_->Release(Ip("10.0.0.3")), IsOk());
  EXPECT_THAT(store_->LastReserved(0), Optional(Ip("10.0.0.3")));
  EXPECT_THAT(store_->LastReserved(1), Optional(Ip("fd00::2")));
  EXPECT_EQ(store_->LastReserved(7), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Stores, LeaseStoreConformance,
                         ::testing::Values(MakeDisk, MakeFake),
                         [](const auto& info) {
                           return info.index == 0 ? "Disk" : "Fake";
                         });

// ---- The disk's own --------------------------------------------------------

class DiskLeaseStoreTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, absl::string_view content) {
    ASSERT_THAT(WriteFileAtomic(File(name), content), IsOk());
  }
  std::string File(const std::string& name) {
    return directory_ / ("net/" + name);
  }
  // The leases, with the lock taken and given back.
  std::vector<Lease> Leases() {
    auto lock = store_->Lock();
    EXPECT_THAT(lock, IsOk());
    return store_->List().value_or(std::vector<Lease>());
  }
  bool Reserve(absl::string_view address) {
    auto lock = store_->Lock();
    EXPECT_THAT(lock, IsOk());
    absl::StatusOr<bool> reserved = store_->Reserve(Ip(address), pod_, 0);
    EXPECT_THAT(reserved, IsOk());
    return reserved.value_or(false);
  }

  TempDir directory_;
  std::unique_ptr<DiskLeaseStore> store_ =
      *DiskLeaseStore::Open(directory_.path(), "net");
  const LeaseOwner pod_{"pod-1", "eth0"};
};

TEST_F(DiskLeaseStoreTest, FilesAreGosByteForByte) {
  EXPECT_TRUE(Reserve("172.16.28.2"));
  EXPECT_THAT(ReadFile(File("172.16.28.2")).value(), Eq("pod-1\r\neth0"));
  EXPECT_THAT(ReadFile(File("last_reserved_ip.0")).value(), Eq("172.16.28.2"));
  struct stat info;
  ASSERT_EQ(stat(File("172.16.28.2").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_nlink, 2u);  // and the name with the owner's hash
  EXPECT_FALSE(PathExists(File(".tmp-lease")));
  ASSERT_EQ(stat((directory_ / "net").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
}

TEST_F(DiskLeaseStoreTest, ReadsOldAndPaddedLeases) {
  Write("10.0.0.2", "pod-1");
  Write("10.0.0.3", " pod-2\r\neth0\r\n\n");
  EXPECT_THAT(Leases(),
              UnorderedElementsAre(Lease{Ip("10.0.0.2"), {"pod-1", ""}},
                                   Lease{Ip("10.0.0.3"), {"pod-2", "eth0"}}));
  // A lease without an interface counts for all of the container's.
  EXPECT_EQ(LeasesOf(Leases(), {"pod-1", "eth7"}).size(), 1u);
}

TEST_F(DiskLeaseStoreTest, EmptyFilesOfCrashesAreFree) {
  Write("10.0.0.2", "");
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_TRUE(Reserve("10.0.0.2"));
  EXPECT_THAT(ReadFile(File("10.0.0.2")).value(), Eq("pod-1\r\neth0"));
}

TEST_F(DiskLeaseStoreTest, HostileEntriesAreNoLeasesAndNeverFollowed) {
  Write("FD00::2", "pod-1\r\neth0");      // not the canonical text
  Write("10.0.0.0002", "pod-1\r\neth0");  // no address
  Write("last_reserved_ip.0", "../../etc/passwd");
  Write("victim", "keep me");
  ASSERT_EQ(mkdir(File("10.0.0.2").c_str(), 0755), 0);
  ASSERT_EQ(mkfifo(File("10.0.0.3").c_str(), 0600), 0);
  ASSERT_EQ(symlink("victim", File("10.0.0.4").c_str()), 0);
  ASSERT_EQ(symlink("victim", File(".tmp-lease").c_str()), 0);
  Write("10.0.0.5", std::string(1 << 20, 'x'));
  Write("10.0.0.6", absl::string_view("\0\0\0", 3));

  // Only the last one is anybody's, and nobody's that we know.
  EXPECT_THAT(LeasesOf(Leases(), pod_), IsEmpty());
  EXPECT_EQ(store_->LastReserved(0), std::nullopt);
  for (absl::string_view taken :
       {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}) {
    EXPECT_FALSE(Reserve(taken)) << taken;
  }
  EXPECT_TRUE(Reserve("10.0.0.7"));
  EXPECT_EQ(ReadFile(File("victim")).value(), "keep me");
}

TEST_F(DiskLeaseStoreTest, ALeftTemporaryThatIsALeaseIsNotHarmed) {
  // What a crash between link(2) and unlink(2) leaves.
  ASSERT_TRUE(Reserve("10.0.0.2"));
  ASSERT_EQ(link(File("10.0.0.2").c_str(), File(".tmp-lease").c_str()), 0);
  ASSERT_TRUE(Reserve("10.0.0.3"));
  EXPECT_EQ(ReadFile(File("10.0.0.2")).value(), "pod-1\r\neth0");
}

TEST_F(DiskLeaseStoreTest, ListOfKnowsLeasesThatHaveNoSecondName) {
  ASSERT_TRUE(Reserve("10.0.0.2"));
  Write("10.0.0.3", "pod-1\r\neth0");  // as Go writes it
  Write("10.0.0.4", "pod-1");          // as old versions of it did
  Write("10.0.0.5", "pod-2\r\neth0");
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->ListOf(pod_));
  EXPECT_THAT(leases,
              UnorderedElementsAre(Lease{Ip("10.0.0.2"), pod_},
                                   Lease{Ip("10.0.0.3"), pod_},
                                   Lease{Ip("10.0.0.4"), {"pod-1", ""}}));
}

TEST_F(DiskLeaseStoreTest, ASecondNameThatOutlivedItsLeaseSaysNothing) {
  ASSERT_TRUE(Reserve("10.0.0.2"));
  // Somebody removed the lease by hand, and Go gave the address out again.
  ASSERT_EQ(unlink(File("10.0.0.2").c_str()), 0);
  Write("10.0.0.2", "pod-2\r\neth0");
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_OK_AND_ASSIGN(auto leases, store_->ListOf({"pod-2", "eth0"}));
  EXPECT_EQ(leases.size(), 1u);
  ASSERT_OK_AND_ASSIGN(leases, store_->ListOf(pod_));
  EXPECT_THAT(leases, IsEmpty());
}

TEST_F(DiskLeaseStoreTest, ReleaseLeavesNoSecondName) {
  ASSERT_TRUE(Reserve("10.0.0.2"));
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  ASSERT_THAT(store_->Release(Ip("10.0.0.2")), IsOk());
  int owners = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory_ / "net")) {
    owners += absl::StartsWith(entry.path().filename().string(), ".owner-");
  }
  EXPECT_EQ(owners, 0);
}

TEST_F(DiskLeaseStoreTest, FailedReservationLeavesNoLease) {
  ASSERT_EQ(mkdir(File("last_reserved_ip.0").c_str(), 0755), 0);
  ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
  EXPECT_THAT(store_->Reserve(Ip("10.0.0.2"), pod_, 0),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("last_reserved_ip.0")));
  EXPECT_FALSE(PathExists(File("10.0.0.2")));
  EXPECT_FALSE(PathExists(File(".tmp-lease")));
}

TEST_F(DiskLeaseStoreTest, TheLockIsFlockOnGosFile) {
  UniqueFd other(
      open(File("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  {
    ASSERT_OK_AND_ASSIGN(auto lock, store_->Lock());
    EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), -1);
    EXPECT_EQ(errno, EWOULDBLOCK);
  }
  EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(DiskLeaseStoreTest, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* name : {"", ".", "..", "a/b", "../net"}) {
    EXPECT_THAT(DiskLeaseStore::Open(directory_.path(), name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("cannot name a directory")));
  }
  EXPECT_THAT(DiskLeaseStore::OpenExisting(directory_.path(), "none"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(PathExists(directory_ / "none"));
}

TEST_F(DiskLeaseStoreTest, ParallelReservationsOfOneAddressHaveOneWinner) {
  std::atomic<int> winners = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i, &winners] {
      auto store = *DiskLeaseStore::Open(directory_.path(), "net");
      auto lock = *store->Lock();
      if (*store->Reserve(Ip("10.0.0.9"), {absl::StrCat("pod-", i), "e"}, 0)) {
        ++winners;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
}

}  // namespace
}  // namespace davit
