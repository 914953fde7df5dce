#include "net/netlink/netns_fixture.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <thread>

#include "net/netlink/in_netns.h"

namespace davit::testing {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  abort();
}

// By ioctl, so that the fixture does not lean on the code under test.
void BringLoopbackUp() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Require(fd.valid(), "socket(AF_INET)");
  ifreq request = {};
  strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  Require(ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0, "SIOCSIFFLAGS lo");
}

}  // namespace

TestNetns::TestNetns() {
  std::thread([this] {
    Require(unshare(CLONE_NEWNET) == 0, "unshare(CLONE_NEWNET)");
    BringLoopbackUp();
    fd_.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    Require(fd_.valid(), "open(/proc/thread-self/ns/net)");
  }).join();
}

absl::Status TestNetns::Run(const std::function<absl::Status()>& work) const {
  return RunInNetns(fd_.get(), work);
}

}  // namespace davit::testing
