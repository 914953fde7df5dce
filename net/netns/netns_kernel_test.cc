#include <fcntl.h>
#include <gmock/gmock.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <memory>
#include <set>
#include <thread>

#include "net/netns/netns.h"
#include "net/netns/netns_pins.h"
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The namespace of the calling thread, by the number of its nsfs file.
ino_t CurrentNetns() {
  struct stat st;
  return stat("/proc/thread-self/ns/net", &st) == 0 ? st.st_ino : 0;
}

ino_t InodeOf(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

std::string Mounts() { return ReadFile("/proc/self/mountinfo").value_or("?"); }

// The names of the interfaces that are up.
std::set<std::string> UpInterfaces() {
  std::set<std::string> names;
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) < 0) return {"getifaddrs failed"};
  std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(raw, freeifaddrs);
  for (ifaddrs* entry = raw; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_flags & IFF_UP) names.insert(entry->ifa_name);
  }
  return names;
}

class NetnsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to make namespaces";
    mounts_before_ = Mounts();
    netns_before_ = CurrentNetns();
  }
  void TearDown() override {
    EXPECT_EQ(Mounts(), mounts_before_) << "a mount was left behind";
    EXPECT_EQ(CurrentNetns(), netns_before_) << "this thread has moved";
  }

  TempDir dir_;
  const std::string path_ = dir_ / "netns/cni-1";

 private:
  std::string mounts_before_;
  ino_t netns_before_ = 0;
};

TEST_F(NetnsTest, AdoptPinsAnothersNamespaceAndBringsLoopbackUp) {
  ASSERT_OK_AND_ASSIGN(Netns made, Netns::Create(dir_ / "other"));
  ASSERT_THAT(made.Run([] {
    return system("ip link set lo down") == 0
               ? absl::OkStatus()
               : absl::InternalError("ip link set lo down");
  }),
              IsOk());
  NetnsPins pins(dir_ / "netns", dir_ / "records");
  ASSERT_OK_AND_ASSIGN(std::string path, pins.Adopt("1", made.fd()));
  EXPECT_EQ(path, path_);
  EXPECT_EQ(InodeOf(path_), InodeOf(dir_ / "other"));
  EXPECT_THAT(*pins.List(), ElementsAre("1"));
  EXPECT_THAT(pins.Adopt("1", made.fd()),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(made.Run([] {
    return UpInterfaces() == std::set<std::string>{"lo"}
               ? absl::OkStatus()
               : absl::InternalError("lo is down");
  }),
              IsOk());
  // Something else: nothing is left.
  UniqueFd file(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(pins.Adopt("2", file.get()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("setns")));
  EXPECT_THAT(*pins.List(), ElementsAre("1"));
  ASSERT_THAT(pins.Remove("1"), IsOk());
  ASSERT_THAT(Netns::Remove(dir_ / "other"), IsOk());
}

TEST_F(NetnsTest, CreateMakesANamespaceWithOnlyLoopbackUp) {
  ino_t here = CurrentNetns();
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(path_));
  EXPECT_EQ(netns.path(), path_);
  EXPECT_NE(InodeOf(path_), here);
  std::set<std::string> up;
  EXPECT_THAT(netns.Run([&] {
    up = UpInterfaces();
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_THAT(up, ElementsAre("lo"));
  EXPECT_THAT(Netns::Remove(path_), IsOk());
  EXPECT_FALSE(PathExists(path_));
}

TEST_F(NetnsTest, RunIsInsideAndReturnsTheStatusOfItsFunction) {
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(path_));
  ino_t inside = 0;
  std::thread::id thread;
  EXPECT_THAT(netns.Run([&]() -> absl::Status {
    inside = CurrentNetns();
    thread = std::this_thread::get_id();
    return absl::AbortedError("why not");
  }),
              StatusIs(absl::StatusCode::kAborted, "why not"));
  EXPECT_EQ(inside, InodeOf(path_));
  EXPECT_NE(thread, std::this_thread::get_id());
  EXPECT_THAT(Netns::Remove(path_), IsOk());
}

TEST_F(NetnsTest, LivesOnInAnOpenObject) {
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(path_));
  ino_t inode = InodeOf(path_);
  ASSERT_THAT(Netns::Remove(path_), IsOk());
  EXPECT_THAT(netns.Run([&]() -> absl::Status {
    return CurrentNetns() == inode ? absl::OkStatus()
                                   : absl::InternalError("another one");
  }),
              IsOk());
}

TEST_F(NetnsTest, OpenFindsThePinAgain) {
  ASSERT_THAT(Netns::Create(path_), IsOk());
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Open(path_));
  struct stat st;
  ASSERT_EQ(fstat(netns.fd(), &st), 0);
  EXPECT_EQ(st.st_ino, InodeOf(path_));
  EXPECT_EQ(fcntl(netns.fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_THAT(Netns::Remove(path_), IsOk());
}

TEST_F(NetnsTest, CreateRefusesWhatIsThereAndLeavesIt) {
  ASSERT_THAT(Netns::Create(path_), IsOk());
  ino_t inode = InodeOf(path_);
  EXPECT_THAT(Netns::Create(path_),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(path_)));
  EXPECT_EQ(InodeOf(path_), inode);
  EXPECT_THAT(Netns::Remove(path_), IsOk());

  ASSERT_THAT(WriteFileAtomic(path_, "mine"), IsOk());
  EXPECT_THAT(Netns::Create(path_), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ReadFile(path_).value_or(""), "mine");
}

TEST_F(NetnsTest, CreateInAFileInsteadOfADirectoryFails) {
  ASSERT_THAT(WriteFileAtomic(dir_ / "file", ""), IsOk());
  EXPECT_THAT(Netns::Create(dir_ / "file/cni-1"), Not(IsOk()));
}

TEST_F(NetnsTest, OpenRefusesEverythingElse) {
  EXPECT_THAT(Netns::Open(dir_ / "absent"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  ASSERT_THAT(WriteFileAtomic(dir_ / "plain", ""), IsOk());
  EXPECT_THAT(Netns::Open(dir_ / "plain"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not a namespace")));
  EXPECT_THAT(Netns::Open("/proc/self/ns/mnt"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not a network namespace")));
  ASSERT_EQ(mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(Netns::Open(dir_ / "fifo"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(NetnsTest, RemoveIsContentWithNothingAndWithALeftoverFile) {
  EXPECT_THAT(Netns::Remove(dir_ / "absent"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir_ / "plain", ""), IsOk());
  EXPECT_THAT(Netns::Remove(dir_ / "plain/below-a-file"), IsOk());
  EXPECT_THAT(Netns::Remove(dir_ / "plain"), IsOk());
  EXPECT_FALSE(PathExists(dir_ / "plain"));
}

TEST_F(NetnsTest, RemoveTakesStackedPinsAndOpenOnes) {
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(path_));
  ASSERT_EQ(
      mount("/proc/self/ns/net", path_.c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_THAT(Netns::Remove(path_), IsOk());
  EXPECT_FALSE(PathExists(path_));
}

TEST_F(NetnsTest, RemoveDoesNotFollowALink) {
  ASSERT_THAT(Netns::Create(path_), IsOk());
  ASSERT_EQ(symlink(path_.c_str(), (dir_ / "link").c_str()), 0);
  EXPECT_THAT(Netns::Remove(dir_ / "link"), IsOk());
  EXPECT_FALSE(PathExists(dir_ / "link"));
  EXPECT_THAT(Netns::Open(path_), IsOk());
  EXPECT_THAT(Netns::Remove(path_), IsOk());
}

TEST_F(NetnsTest, PinsAreOursOnly) {
  NetnsPins pins(dir_ / "netns", dir_ / "state/netns");
  EXPECT_THAT(*pins.List(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::string path, pins.Create("b"));
  EXPECT_EQ(path, dir_ / "netns/cni-b");
  ASSERT_THAT(pins.Create("a"), IsOk());
  // Another runtime's.
  ASSERT_THAT(Netns::Create(dir_ / "netns/cni-c"), IsOk());
  EXPECT_THAT(*pins.List(), ElementsAre("a", "b"));
  EXPECT_THAT(pins.Create("c"), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(*pins.List(), ElementsAre("a", "b"));
  for (const char* pod : {"a", "b", "c"}) EXPECT_THAT(pins.Remove(pod), IsOk());
  EXPECT_THAT(*pins.List(), IsEmpty());
}

TEST_F(NetnsTest, PinsOfBeforeARebootAreForgotten) {
  NetnsPins pins(dir_ / "netns", dir_ / "state/netns");
  ASSERT_THAT(pins.Create("gone"), IsOk());
  ASSERT_THAT(pins.Create("plain"), IsOk());
  ASSERT_THAT(Netns::Remove(dir_ / "netns/cni-gone"), IsOk());
  ASSERT_EQ(umount((dir_ / "netns/cni-plain").c_str()), 0);
  EXPECT_THAT(pins.ForgetMissing(), IsOk());
  EXPECT_FALSE(PathExists(dir_ / "state/netns/gone"));
  EXPECT_THAT(*pins.List(), ElementsAre("plain"));
  EXPECT_THAT(pins.Remove("plain"), IsOk());
}

TEST_F(NetnsTest, ARecordThatWasBeingWrittenIsForgotten) {
  NetnsPins pins(dir_ / "netns", dir_ / "state/netns");
  ASSERT_THAT(pins.Create("kept"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir_ / "state/netns/.tmp-Xa4b0c", "half"),
              IsOk());
  EXPECT_THAT(pins.ForgetMissing(), IsOk());
  EXPECT_FALSE(PathExists(dir_ / "state/netns/.tmp-Xa4b0c"));
  EXPECT_THAT(*pins.List(), ElementsAre("kept"));
  EXPECT_THAT(pins.Remove("kept"), IsOk());
}

}  // namespace
}  // namespace davit
