#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "net/netns/dial.h"
#include "net/netns/netns.h"
#include "tests/support/matchers.h"
#include "tests/support/shell.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::RunProgram;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

constexpr absl::Duration kSoon = absl::Seconds(5);

class DialTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes a network namespace";
    ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(path_));
    made_ = true;
  }

  void TearDown() override {
    if (!made_) return;
    EXPECT_THAT(Netns::Remove(path_), IsOk());
  }

  // A listener of the pod on its loopback.
  UniqueFd Listen(int family, uint16_t& port) {
    UniqueFd fd;
    Netns netns = Netns::Open(path_).value();
    absl::Status status = netns.Run([&] {
      fd = UniqueFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      return absl::OkStatus();
    });
    EXPECT_THAT(status, IsOk());
    sockaddr_in6 v6 = {};
    sockaddr_in v4 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool is_v6 = family == AF_INET6;
    auto* address = is_v6 ? reinterpret_cast<sockaddr*>(&v6)
                          : reinterpret_cast<sockaddr*>(&v4);
    socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
    EXPECT_EQ(bind(fd.get(), address, size), 0);
    EXPECT_EQ(listen(fd.get(), 8), 0);
    EXPECT_EQ(getsockname(fd.get(), address, &size), 0);
    port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
    return fd;
  }

  void Ip(const std::string& arguments) {
    auto result = RunProgram({"sh", "-c", "ip " + arguments}, path_);
    EXPECT_EQ(result.code, 0) << result.err;
  }

  TempDir dir_{"/tmp"};
  const std::string path_ = dir_ / "pod";
  bool made_ = false;
};

TEST_F(DialTest, ReachesLoopbackOfTheNamespaceByEitherFamily) {
  for (int family : {AF_INET, AF_INET6}) {
    uint16_t port = 0;
    UniqueFd listener = Listen(family, port);
    ASSERT_OK_AND_ASSIGN(UniqueFd fd, DialLoopback(path_, port, kSoon));
    UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(accepted);
    ASSERT_EQ(write(accepted.get(), "x", 1), 1);
    shutdown(accepted.get(), SHUT_WR);
    char byte = 0;
    while (read(fd.get(), &byte, 1) < 0 && errno == EAGAIN) {
    }
    EXPECT_EQ(byte, 'x');
  }
}

TEST_F(DialTest, NobodyListensThere) {
  EXPECT_THAT(DialLoopback(path_, 9, kSoon),
              StatusIs(absl::StatusCode::kUnavailable,
                       "connect(127.0.0.1:9): Connection refused"));
}

TEST_F(DialTest, WithoutTheNamespaceItIsNotFound) {
  EXPECT_THAT(DialLoopback(dir_ / "nowhere", 9, kSoon),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
  EXPECT_THAT(NodeAddress(dir_ / "nowhere"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DialTest, NodeAddressIsTheDefaultRoutesSourceElseTheFirst) {
  EXPECT_THAT(NodeAddress(path_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no address")));
  Ip("link add d0 type veth peer name d1 && ip link set d0 up && ip link set "
     "d1 up "
     "&& ip addr add 192.0.2.7/24 dev d0");
  EXPECT_EQ(NodeAddress(path_).value_or(""), "192.0.2.7");
  Ip("addr add 203.0.113.9/24 dev d1 && ip route add default via 203.0.113.1");
  EXPECT_EQ(NodeAddress(path_).value_or(""), "203.0.113.9");
}

}  // namespace
}  // namespace davit
