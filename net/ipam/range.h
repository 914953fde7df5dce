#ifndef DAVIT_NET_IPAM_RANGE_H_
#define DAVIT_NET_IPAM_RANGE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/netlink/ip_address.h"

namespace davit {

// A range as it is written in a configuration; what is unset has a default.
struct RangeSpec {
  IpPrefix subnet;
  std::optional<IpAddress> start;    // network + 1
  std::optional<IpAddress> end;      // IPv4: broadcast - 1; IPv6: the last one
  std::optional<IpAddress> gateway;  // network + 1
};

// A pool of addresses of one subnet: those from start to end, but never the
// gateway. A value; the semantics are those of Go's host-local.
class Range {
 public:
  // InvalidArgument if the subnet has host bits set or fewer than four
  // addresses, or if start or end is not a member.
  static absl::StatusOr<Range> Create(const RangeSpec& spec);

  const IpPrefix& subnet() const { return subnet_; }
  const IpAddress& start() const { return start_; }
  const IpAddress& end() const { return end_; }  // inclusive
  const IpAddress& gateway() const { return gateway_; }

  // Whether the address is between start and end.
  bool Contains(const IpAddress& address) const;
  bool Overlaps(const Range& other) const;
  std::string ToString() const;  // "172.16.28.1-172.16.28.254"

 private:
  Range() = default;

  IpPrefix subnet_;
  IpAddress start_, end_, gateway_;
};

// Pools of one family that are tried in order: a container gets one address of
// each set.
class RangeSet {
 public:
  // InvalidArgument if it is empty, or has two families or an overlap.
  static absl::StatusOr<RangeSet> Create(std::vector<Range> ranges);

  const std::vector<Range>& ranges() const { return ranges_; }
  bool is_v6() const { return ranges_.front().start().is_v6(); }
  // The range that contains the address, or null.
  const Range* Find(const IpAddress& address) const;
  bool Overlaps(const RangeSet& other) const;
  std::string ToString() const;  // the ranges, with commas

 private:
  explicit RangeSet(std::vector<Range> ranges) : ranges_(std::move(ranges)) {}

  std::vector<Range> ranges_;
};

}  // namespace davit

#endif  // DAVIT_NET_IPAM_RANGE_H_
