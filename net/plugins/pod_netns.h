#ifndef DAVIT_NET_PLUGINS_POD_NETNS_H_
#define DAVIT_NET_PLUGINS_POD_NETNS_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Opens CNI_NETNS. NotFound if there is no network namespace at `path` (any
// more): it is empty or absent, below something that is no directory, or a
// plain file, which is what a pin becomes when its mount is gone (a reboot).
absl::StatusOr<UniqueFd> OpenPodNetns(const std::string& path);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_POD_NETNS_H_
