#ifndef DAVIT_NET_NETLINK_IN_NETNS_H_
#define DAVIT_NET_NETLINK_IN_NETNS_H_

#include <functional>

#include "absl/status/status.h"

namespace davit {

// Runs `work` inside the network namespace of an open nsfs descriptor
// (setns(2)), on a thread made for it: the caller's namespace never changes. A
// process that never had a second thread, such as a plugin, goes there and back
// itself: a thread would cost it a tenth of its time. Returns when the work has
// ended, with its status.
absl::Status RunInNetns(int netns_fd,
                        const std::function<absl::Status()>& work);

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_IN_NETNS_H_
