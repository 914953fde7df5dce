#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/nat/mac_spoof_check.h"
#include "net/netlink/netns_fixture.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TestNetns;
using ::testing::HasSubstr;
using ::testing::Not;

class MacSpoofCheckKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(netns_.Run([this]() -> absl::Status {
      ASSIGN_OR_RETURN(check_, MacSpoofCheck::Open());
      return absl::OkStatus();
    }),
                IsOk());
  }
  std::string Nft(const std::vector<std::string>& arguments) {
    SubprocessSpec nft;
    nft.path = "/usr/sbin/nft";
    nft.argv = {"nft"};
    nft.argv.insert(nft.argv.end(), arguments.begin(), arguments.end());
    nft.netns_fd = netns_.fd();
    absl::StatusOr<SubprocessResult> result = RunSubprocess(nft);
    return result.ok() ? result->out : result.status().ToString();
  }
  std::string Ruleset() { return Nft({"list", "ruleset"}); }

  const MacAddress mac_ = *MacAddress::Parse("02:00:00:00:00:01");
  const MacAddress other_ = *MacAddress::Parse("02:00:00:00:00:02");
  TestNetns netns_;
  std::optional<MacSpoofCheck> check_;
};

TEST_F(MacSpoofCheckKernelTest, NftPrintsTheDocumentedTable) {
  ASSERT_THAT(check_->Add("veth1", mac_, "pod-1 eth0"), IsOk());
  const std::string ruleset = Ruleset();
  for (const char* part :
       {"table bridge davit", "type ifname\n",
        "elements = { \"veth1\" comment \"pod-1 eth0\" }",
        "type ifname . ether_addr",
        "\"veth1\" . 02:00:00:00:00:01 comment \"pod-1 eth0\"",
        "type filter hook prerouting priority dstnat; policy accept;",
        "iifname @ports iifname . ether saddr != @addresses drop"}) {
    EXPECT_THAT(ruleset, HasSubstr(part));
  }
  EXPECT_TRUE(*check_->Contains("veth1", mac_, "pod-1 eth0"));
  EXPECT_FALSE(*check_->Contains("veth1", other_, "pod-1 eth0"));
  EXPECT_FALSE(*check_->Contains("veth1", mac_, "pod-2 eth0"));
}

TEST_F(MacSpoofCheckKernelTest, TheTableGoesWithItsLastPort) {
  EXPECT_THAT(check_->Remove("pod-1 eth0"), IsOk());  // no table
  EXPECT_FALSE(*check_->Contains("veth1", mac_, "pod-1 eth0"));
  ASSERT_THAT(check_->Add("veth1", mac_, "pod-1 eth0"), IsOk());
  ASSERT_THAT(check_->Add("veth2", other_, "pod-2 eth0"), IsOk());
  EXPECT_THAT(check_->Remove("pod-1 eth0"), IsOk());
  EXPECT_THAT(Ruleset(), Not(HasSubstr("veth1")));
  EXPECT_THAT(Ruleset(), HasSubstr("veth2"));
  EXPECT_THAT(check_->Remove("pod-1 eth0"), IsOk());
  EXPECT_THAT(check_->Remove("pod-2 eth0"), IsOk());
  EXPECT_EQ(Ruleset(), "");
}

TEST_F(MacSpoofCheckKernelTest, AnEarlierPortOfTheNameIsReplaced) {
  ASSERT_THAT(check_->Add("veth1", mac_, "pod-1 eth0"), IsOk());
  ASSERT_THAT(check_->Add("veth1", other_, "pod-2 eth0"), IsOk());
  EXPECT_THAT(Ruleset(), Not(HasSubstr("pod-1")));
  EXPECT_TRUE(*check_->Contains("veth1", other_, "pod-2 eth0"));
  ASSERT_THAT(check_->Add("veth1", other_, "pod-2 eth0"), IsOk());
}

TEST_F(MacSpoofCheckKernelTest, OthersRulesStay) {
  Nft({"add table bridge mine"});
  ASSERT_THAT(check_->Add("veth1", mac_, "pod-1 eth0"), IsOk());
  ASSERT_THAT(check_->Remove("pod-1 eth0"), IsOk());
  EXPECT_EQ(Ruleset(), "table bridge mine {\n}\n");
}

TEST_F(MacSpoofCheckKernelTest, ATableThatIsNotOursIsAnError) {
  Nft({"add table bridge davit"});
  EXPECT_THAT(check_->Add("veth1", mac_, "pod-1 eth0"),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("check MAC addresses of veth1 in nft table "
                                 "bridge davit: given up")));
}

TEST_F(MacSpoofCheckKernelTest, ManyAtOnceLoseNothing) {
  constexpr int kThreads = 4, kRounds = 15;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      EXPECT_THAT(netns_.Run([&]() -> absl::Status {
        ASSIGN_OR_RETURN(MacSpoofCheck check, MacSpoofCheck::Open());
        const std::string name = absl::StrCat("veth", t);
        for (int i = 0; i < kRounds; ++i) {
          RETURN_IF_ERROR(check.Add(name, mac_, name));
          ASSIGN_OR_RETURN(bool found, check.Contains(name, mac_, name));
          if (!found) return absl::DataLossError(name);
          RETURN_IF_ERROR(check.Remove(name));
        }
        return absl::OkStatus();
      }),
                  IsOk());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Ruleset(), "");
}

}  // namespace
}  // namespace davit
