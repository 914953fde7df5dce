#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/nat/listeners.h"
#include "net/netlink/netns_fixture.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TestNetns;
using ::testing::HasSubstr;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

class ListenersKernelTest : public ::testing::Test {
 protected:
  // A bound socket of the namespace; TCP ones listen.
  UniqueFd Bind(int type, absl::string_view text, uint16_t port,
                bool v6_only = false) {
    UniqueFd fd;
    EXPECT_THAT(netns_.Run([&]() -> absl::Status {
      const IpAddress ip = Ip(text);
      fd.Reset(socket(ip.family(), type | SOCK_CLOEXEC, 0));
      sockaddr_in6 v6 = {};
      sockaddr_in v4 = {};
      v6.sin6_family = AF_INET6;
      v4.sin_family = AF_INET;
      v6.sin6_port = v4.sin_port = htons(port);
      int only = v6_only;
      if (ip.is_v6()) {
        memcpy(&v6.sin6_addr, ip.data(), 16);
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&v6), sizeof(v6)),
                  0);
      } else {
        memcpy(&v4.sin_addr, ip.data(), 4);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&v4), sizeof(v4)),
                  0);
      }
      if (type == SOCK_STREAM) {
        EXPECT_EQ(listen(fd.get(), 1), 0);
      }
      return absl::OkStatus();
    }),
                IsOk());
    return fd;
  }
  absl::Status Check(PortProtocol protocol, absl::string_view node,
                     uint16_t port, absl::string_view pod = "10.0.0.2") {
    PortForward forward{protocol, std::nullopt, port, Ip(pod), 80};
    if (!node.empty()) forward.node_address = Ip(node);
    return netns_.Run([&] { return CheckNobodyListens({forward}); });
  }
  absl::Status CheckTcp(absl::string_view node, uint16_t port,
                        absl::string_view pod = "10.0.0.2") {
    return Check(PortProtocol::kTcp, node, port, pod);
  }
  static auto Taken(const std::string& by) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(by));
  }

  TestNetns netns_;
};

TEST_F(ListenersKernelTest, NamesTheProcess) {
  UniqueFd fd = Bind(SOCK_STREAM, "0.0.0.0", 1000);
  EXPECT_THAT(
      CheckTcp("", 1000),
      Taken(absl::StrCat("host port tcp *:1000 is taken: listeners_kerne"
                         " (pid ",
                         getpid(), ") listens on 0.0.0.0:1000")));
  EXPECT_THAT(CheckTcp("192.0.2.1", 1000), Taken("0.0.0.0:1000"));
  EXPECT_THAT(CheckTcp("", 1001), IsOk());
  EXPECT_THAT(Check(PortProtocol::kUdp, "", 1000), IsOk());
  EXPECT_THAT(Check(PortProtocol::kSctp, "", 1000), IsOk());
  EXPECT_THAT(CheckTcp("", 1000, "fd00::2"), IsOk());
}

TEST_F(ListenersKernelTest, OneAddressOverlapsItselfAndAll) {
  UniqueFd fd = Bind(SOCK_STREAM, "127.0.0.1", 1000);
  EXPECT_THAT(CheckTcp("", 1000), Taken("127.0.0.1:1000"));
  EXPECT_THAT(CheckTcp("127.0.0.1", 1000), Taken("127.0.0.1:1000"));
  EXPECT_THAT(CheckTcp("127.0.0.2", 1000), IsOk());
}

TEST_F(ListenersKernelTest, DualStackSocketsTakeIpv4) {
  UniqueFd dual = Bind(SOCK_STREAM, "::", 1000, /*v6_only=*/false);
  UniqueFd only = Bind(SOCK_STREAM, "::", 1001, /*v6_only=*/true);
  EXPECT_THAT(CheckTcp("", 1000), Taken("[::]:1000"));
  EXPECT_THAT(CheckTcp("192.0.2.1", 1000), Taken("[::]:1000"));
  EXPECT_THAT(CheckTcp("", 1000, "fd00::2"), Taken("[::]:1000"));
  EXPECT_THAT(CheckTcp("", 1001), IsOk());
  EXPECT_THAT(CheckTcp("", 1001, "fd00::2"), Taken("[::]:1001"));
}

TEST_F(ListenersKernelTest, UdpClientsThatAreConnectedAreNoListeners) {
  UniqueFd fd = Bind(SOCK_DGRAM, "127.0.0.1", 1000);
  EXPECT_THAT(Check(PortProtocol::kUdp, "", 1000), Taken("127.0.0.1:1000"));
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  EXPECT_THAT(Check(PortProtocol::kUdp, "", 1000), IsOk());
}

TEST_F(ListenersKernelTest, NothingToCheckIsFine) {
  EXPECT_THAT(netns_.Run([] { return CheckNobodyListens({}); }), IsOk());
}

}  // namespace
}  // namespace davit
