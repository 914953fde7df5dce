#include "net/netlink/in_netns.h"

#include <sched.h>

#include <thread>

#include "runtime/base/errno_error.h"

namespace davit {

absl::Status RunInNetns(int netns_fd,
                        const std::function<absl::Status()>& work) {
  absl::Status status;
  std::thread([&] {
    status = setns(netns_fd, CLONE_NEWNET) < 0
                 ? ErrnoError("setns(%d, CLONE_NEWNET)", netns_fd)
                 : work();
  }).join();
  return status;
}

}  // namespace davit
