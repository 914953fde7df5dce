#include "net/netlink/in_netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/single_threaded.h>

#include <thread>

#include "runtime/base/errno_error.h"
#include "runtime/base/unique_fd.h"

namespace davit {

namespace {

absl::Status EnterAndRun(int netns_fd,
                         const std::function<absl::Status()>& work) {
  if (setns(netns_fd, CLONE_NEWNET) < 0) {
    return ErrnoError("setns(%d, CLONE_NEWNET)", netns_fd);
  }
  return work();
}

// There and back on the only thread.
absl::Status RunOnThisThread(int netns_fd,
                             const std::function<absl::Status()>& work) {
  UniqueFd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return ErrnoError("open(/proc/self/ns/net)");
  absl::Status status = EnterAndRun(netns_fd, work);
  // Nobody may go on in the wrong namespace; the kernel refuses only who has
  // lost CAP_SYS_ADMIN in between.
  if (setns(home.get(), CLONE_NEWNET) < 0) abort();
  return status;
}

}  // namespace

absl::Status RunInNetns(int netns_fd,
                        const std::function<absl::Status()>& work) {
  if (__libc_single_threaded) return RunOnThisThread(netns_fd, work);
  absl::Status status;
  std::thread([&] { status = EnterAndRun(netns_fd, work); }).join();
  return status;
}

}  // namespace davit
