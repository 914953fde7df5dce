#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/nat/masquerade.h"
#include "net/netlink/netns_fixture.h"
#include "runtime/base/subprocess.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::TestNetns;
using ::testing::HasSubstr;
using ::testing::Not;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

class MasqueradeKernelTest : public ::testing::Test {
 protected:
  Masquerade Open() {
    std::optional<Masquerade> masquerade;
    EXPECT_THAT(netns_.Run([&]() -> absl::Status {
      masquerade = *Masquerade::Open();
      return absl::OkStatus();
    }),
                IsOk());
    return *std::move(masquerade);
  }

  // What nft(8), the independent reader, sees.
  std::string Ruleset() {
    SubprocessSpec nft;
    nft.path = "/usr/sbin/nft";
    nft.argv = {"nft", "list", "ruleset"};
    nft.netns_fd = netns_.fd();
    absl::StatusOr<SubprocessResult> result = RunSubprocess(nft);
    EXPECT_TRUE(result.ok() && result->ExitedWith(0)) << result.status();
    return result.ok() ? result->out : "";
  }

  TestNetns netns_;
  Masquerade masquerade_ = Open();
  const MasqueradeOwner pod_{"pod-1", "eth0"};
};

TEST_F(MasqueradeKernelTest, TheRulesetIsTheDocumentedOne) {
  ASSERT_THAT(masquerade_.Add(Ip("172.16.28.2"), pod_), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("fd00::2"), pod_), IsOk());
  EXPECT_EQ(Ruleset(), R"(table inet davit {
	set masq4 {
		type ipv4_addr
		elements = { 172.16.28.2 comment "pod-1 eth0" }
	}

	set masq6 {
		type ipv6_addr
		elements = { fd00::2 comment "pod-1 eth0" }
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @masq4 ip daddr != @masq4 ip daddr != 224.0.0.0/4 masquerade
		ip6 saddr @masq6 ip6 daddr != @masq6 ip6 daddr != ff00::/8 masquerade
	}
}
)");
}

TEST_F(MasqueradeKernelTest, AddTwiceIsOnceAndTakesOverStaleElements) {
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), {"dead", "eth0"}), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  ASSERT_OK_AND_ASSIGN(bool ours, masquerade_.Contains(Ip("10.0.0.2"), pod_));
  EXPECT_TRUE(ours);
  ASSERT_OK_AND_ASSIGN(bool dead,
                       masquerade_.Contains(Ip("10.0.0.2"), {"dead", "eth0"}));
  EXPECT_FALSE(dead);
}

TEST_F(MasqueradeKernelTest, TheLastRemovalLeavesNothing) {
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.3"), {"pod-2", "eth0"}), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("fd00::3"), {"pod-2", "eth0"}), IsOk());
  ASSERT_THAT(masquerade_.Remove({Ip("10.0.0.2")}, pod_), IsOk());
  EXPECT_THAT(Ruleset(), HasSubstr("10.0.0.3"));
  EXPECT_THAT(Ruleset(), Not(HasSubstr("10.0.0.2")));
  // No hints: both are found by their comments.
  ASSERT_THAT(masquerade_.Remove({}, {"pod-2", "eth0"}), IsOk());
  EXPECT_EQ(Ruleset(), "");
  // Again, with nothing there.
  EXPECT_THAT(masquerade_.Remove({Ip("10.0.0.2")}, pod_), IsOk());
  // And from the beginning.
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  EXPECT_THAT(Ruleset(), HasSubstr("10.0.0.2"));
}

TEST_F(MasqueradeKernelTest, NeverRemovesAnothersElement) {
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  EXPECT_THAT(masquerade_.Remove({Ip("10.0.0.2")}, {"pod-1", "eth1"}), IsOk());
  EXPECT_THAT(masquerade_.Remove({}, {"pod", "1 eth0"}), IsOk());
  EXPECT_THAT(Ruleset(), HasSubstr("10.0.0.2"));
}

TEST_F(MasqueradeKernelTest, StaleHintsDoNotHideTheElement) {
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  EXPECT_THAT(masquerade_.Remove({Ip("10.0.0.77"), Ip("fd00::1")}, pod_),
              IsOk());
  EXPECT_EQ(Ruleset(), "");
}

TEST_F(MasqueradeKernelTest, LongOwnersStayApart) {
  MasqueradeOwner first{std::string(300, 'a') + "1", "eth0"};
  MasqueradeOwner second{std::string(300, 'a') + "2", "eth0"};
  EXPECT_EQ(first.Comment().size(), 127u);
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), first), IsOk());
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.3"), second), IsOk());
  ASSERT_THAT(masquerade_.Remove({}, first), IsOk());
  EXPECT_THAT(Ruleset(), Not(HasSubstr("10.0.0.2")));
  EXPECT_THAT(Ruleset(), HasSubstr("10.0.0.3"));
}

TEST_F(MasqueradeKernelTest, ForeignTablesAreLeftAlone) {
  SubprocessSpec nft;
  nft.path = "/usr/sbin/nft";
  nft.argv = {"nft", "add", "table", "inet", "theirs"};
  nft.netns_fd = netns_.fd();
  ASSERT_TRUE(RunSubprocess(nft)->ExitedWith(0));
  ASSERT_THAT(masquerade_.Add(Ip("10.0.0.2"), pod_), IsOk());
  ASSERT_THAT(masquerade_.Remove({}, pod_), IsOk());
  EXPECT_EQ(Ruleset(), "table inet theirs {\n}\n");
}

TEST_F(MasqueradeKernelTest, AThousandElementsFillSeveralDumps) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(
        masquerade_.Add(Ip(absl::StrCat("10.1.", i / 250, ".", i % 250)),
                        {absl::StrCat("pod-", i), "eth0"}),
        IsOk());
  }
  // Two removals on one socket: the first leaves its emptiness test unread.
  ASSERT_THAT(masquerade_.Remove({Ip("10.1.0.0")}, {"pod-0", "eth0"}), IsOk());
  ASSERT_THAT(masquerade_.Remove({}, {"pod-999", "eth0"}), IsOk());
  ASSERT_OK_AND_ASSIGN(
      bool last, masquerade_.Contains(Ip("10.1.3.249"), {"pod-999", "eth0"}));
  EXPECT_FALSE(last);
  ASSERT_OK_AND_ASSIGN(
      bool other, masquerade_.Contains(Ip("10.1.3.248"), {"pod-998", "eth0"}));
  EXPECT_TRUE(other);
}

// Adds and removes of several users keep making and removing the table. After
// each Add the element must be there, however close a removal was.
TEST_F(MasqueradeKernelTest, ConcurrentLastRemovalNeverTakesANewElement) {
  constexpr int kThreads = 4, kRounds = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      Masquerade mine = Open();
      IpAddress address = Ip(absl::StrCat("10.2.0.", t + 1));
      MasqueradeOwner owner{absl::StrCat("pod-", t), "eth0"};
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_THAT(mine.Add(address, owner), IsOk());
        absl::StatusOr<bool> there = mine.Contains(address, owner);
        EXPECT_TRUE(there.ok() && *there) << there.status();
        EXPECT_THAT(mine.Remove({address}, owner), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Ruleset(), "");
}

}  // namespace
}  // namespace davit
