#ifndef DAVIT_NET_NETLINK_WAIT_FOR_CHANGE_H_
#define DAVIT_NET_NETLINK_WAIT_FOR_CHANGE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit {

// Returns as soon as `done` says true. It is asked at once, and again after
// each change of which the kernel tells the rtnetlink `groups` (RTMGRP_LINK,
// RTMGRP_IPV6_IFADDR, …; rtnetlink(7)) of the namespace of an open nsfs
// descriptor, or of the caller's if that is -1; nothing polls. If `done` is
// true at first, that is all it costs. An error of `done` is returned;
// DeadlineExceeded after `timeout`.
absl::Status WaitForChange(int netns_fd, uint32_t groups,
                           absl::Duration timeout,
                           const std::function<absl::StatusOr<bool>()>& done);

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_WAIT_FOR_CHANGE_H_
