#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "net/nat/conntrack.h"
#include "net/netlink/netns_fixture.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::TestNetns;
using ::testing::IsEmpty;

class ConntrackKernelTest : public ::testing::Test {
 protected:
  ConntrackKernelTest() {
    // Tracking begins with the first rule that asks for it.
    SubprocessSpec nft;
    nft.path = "/usr/sbin/nft";
    nft.argv = {"nft", "-f", "-"};
    nft.stdin_data =
        "table inet t { chain c { type filter hook output priority 0; "
        "ct state new accept; }; }";
    nft.netns_fd = netns_.fd();
    EXPECT_TRUE(RunSubprocess(nft)->ExitedWith(0));
    EXPECT_THAT(netns_.Run([this]() -> absl::Status {
      conntrack_ = *Conntrack::Open();
      return absl::OkStatus();
    }),
                IsOk());
  }

  // A datagram to a port of 127.0.0.1 at which nobody listens.
  void Send(int type, uint16_t port) {
    EXPECT_THAT(netns_.Run([&]() -> absl::Status {
      UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to));
      if (type == SOCK_DGRAM) send(fd.get(), "x", 1, 0);
      return absl::OkStatus();
    }),
                IsOk());
  }
  // The answerers of the flows to `port`.
  std::vector<std::string> Flows(uint16_t port, bool v6 = false) {
    std::vector<std::string> flows;
    EXPECT_THAT(
        conntrack_->DeleteUdpFlows(v6, port,
                                   [&](const UdpFlow& flow) {
                                     flows.push_back(flow.answerer.ToString());
                                     return false;
                                   }),
        IsOk());
    return flows;
  }

  TestNetns netns_;
  std::optional<Conntrack> conntrack_;
};

TEST_F(ConntrackKernelTest, DeletesTheStaleFlowsOfOnePort) {
  Send(SOCK_DGRAM, 1000);
  Send(SOCK_DGRAM, 1000);
  Send(SOCK_DGRAM, 1001);
  EXPECT_THAT(Flows(1000), ::testing::ElementsAre("127.0.0.1", "127.0.0.1"));
  EXPECT_THAT(Flows(1000, /*v6=*/true), IsEmpty());
  int seen = 0;
  ASSERT_OK_AND_ASSIGN(int deleted, conntrack_->DeleteUdpFlows(
                                        false, 1000, [&](const UdpFlow& flow) {
                                          EXPECT_EQ(flow.answerer_port, 1000);
                                          return ++seen == 1;
                                        }));
  EXPECT_EQ(deleted, 1);
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(Flows(1000).size(), 1u);
  EXPECT_EQ(Flows(1001).size(), 1u);
}

TEST_F(ConntrackKernelTest, LeavesTcpAlone) {
  Send(SOCK_STREAM, 1000);
  EXPECT_THAT(Flows(1000), IsEmpty());
}

TEST_F(ConntrackKernelTest, IsContentWithNothing) {
  ASSERT_OK_AND_ASSIGN(
      int deleted,
      conntrack_->DeleteUdpFlows(true, 1, [](const UdpFlow&) { return true; }));
  EXPECT_EQ(deleted, 0);
}

}  // namespace
}  // namespace davit
