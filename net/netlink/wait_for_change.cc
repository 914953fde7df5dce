#include "net/netlink/wait_for_change.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/netlink/in_netns.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

absl::Status Subscribe(uint32_t groups, UniqueFd* fd) {
  fd->Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   NETLINK_ROUTE));
  if (!fd->valid()) return ErrnoError("socket(AF_NETLINK, NETLINK_ROUTE)");
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd->get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) <
      0) {
    return ErrnoError("bind(netlink, groups %#x)", groups);
  }
  return absl::OkStatus();
}

// Waits for a message and drops all that have come; what they say is asked for
// afterwards.
absl::Status WaitForMessage(int fd, absl::Time deadline) {
  const absl::Duration left = deadline - absl::Now();
  const int64_t ms = std::max<int64_t>(0, absl::ToInt64Milliseconds(left) + 1);
  pollfd waiting = {fd, POLLIN, 0};
  const int ready =
      left < absl::ZeroDuration() ? 0 : poll(&waiting, 1, static_cast<int>(ms));
  if (ready < 0) {
    if (errno == EINTR) return absl::OkStatus();
    return ErrnoError("poll(netlink)");
  }
  if (ready == 0) return absl::DeadlineExceededError("timed out");
  char ignored[64];
  // ENOBUFS, "messages were lost", is a message too.
  while (recv(fd, ignored, sizeof(ignored), 0) >= 0 || errno == EINTR ||
         errno == ENOBUFS) {
  }
  if (errno != EAGAIN) return ErrnoError("recv(netlink)");
  return absl::OkStatus();
}

}  // namespace

absl::Status WaitForChange(int netns_fd, uint32_t groups,
                           absl::Duration timeout,
                           const std::function<absl::StatusOr<bool>()>& done) {
  const absl::Time deadline = absl::Now() + timeout;
  ASSIGN_OR_RETURN(bool is_done, done());
  if (is_done) return absl::OkStatus();
  UniqueFd fd;
  if (netns_fd < 0) {
    RETURN_IF_ERROR(Subscribe(groups, &fd));
  } else {
    RETURN_IF_ERROR(
        RunInNetns(netns_fd, [&] { return Subscribe(groups, &fd); }));
  }
  for (;;) {
    // Asked again before the first wait: it may have changed before the socket
    // was subscribed.
    ASSIGN_OR_RETURN(is_done, done());
    if (is_done) return absl::OkStatus();
    RETURN_IF_ERROR(WaitForMessage(fd.get(), deadline),
                    absl::StrCat("wait for ", absl::FormatDuration(timeout)));
  }
}

}  // namespace davit
