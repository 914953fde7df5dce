#ifndef DAVIT_NET_NETLINK_TRAFFIC_CONTROL_H_
#define DAVIT_NET_NETLINK_TRAFFIC_CONTROL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// A token bucket filter (tc-tbf(8)), in the kernel's units.
struct TokenBucket {
  uint64_t rate = 0;    // bytes a second
  uint32_t buffer = 0;  // the bucket: its time at that rate, in psched ticks
  uint32_t limit = 0;   // of the queue, bytes
  bool operator==(const TokenBucket&) const = default;
};

// One psched tick is 64 ns in every kernel since 2.6.31, /proc/net/psched says.
inline constexpr double kPschedTicksPerMicrosecond = 1000.0 / 64;

// The traffic control (tc(8)) that shaping a link takes, on one socket bound to
// the network namespace in which it was opened. Errors name call and arguments,
// errno and the kernel's own words. One thread at a time.
class TrafficControl {
 public:
  static absl::StatusOr<TrafficControl> Open();

  // An intermediate functional block: a link whose only purpose is to have a
  // queue; up. AlreadyExists if the name is taken.
  absl::Status AddIfb(const std::string& name, uint32_t mtu);

  // What the link sends goes through the bucket: the root qdisc, handle 1:.
  // AlreadyExists if it has another than the kernel's default.
  absl::Status AddTokenBucket(int index, const TokenBucket& bucket);
  // OK if the root qdisc is the kernel's default.
  absl::Status RemoveTokenBucket(int index);
  // The root qdisc. NotFound if it is no token bucket.
  absl::StatusOr<TokenBucket> GetTokenBucket(int index);

  // What the link receives is sent by another link instead: qdisc ingress
  // (handle ffff:) with a filter that matches everything. AlreadyExists if
  // there is such a qdisc. After an error there is no new one.
  absl::Status RedirectIngress(int from_index, int to_index);

 private:
  explicit TrafficControl(NlSocket socket) : socket_(std::move(socket)) {}

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_TRAFFIC_CONTROL_H_
