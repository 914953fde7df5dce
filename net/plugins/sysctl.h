#ifndef DAVIT_NET_PLUGINS_SYSCTL_H_
#define DAVIT_NET_PLUGINS_SYSCTL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace davit {

// Sets /proc/sys/net/`name` ("ipv4/ip_forward") in the calling thread's network
// namespace. Writes only what differs, so a read-only /proc/sys is fine if it
// is right already.
absl::Status SetSysctl(absl::string_view name, absl::string_view value);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_SYSCTL_H_
