#include "net/ipam/range.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace davit {

absl::StatusOr<Range> Range::Create(const RangeSpec& spec) {
  const IpAddress& network = spec.subnet.address;
  if (spec.subnet.length > network.bits() - 2) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "subnet %s is too small to allocate from", spec.subnet.ToString()));
  }
  if (spec.subnet.Network() != spec.subnet) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "subnet %s has host bits set, the network is %s",
        spec.subnet.ToString(), spec.subnet.Network().ToString()));
  }
  for (const auto& [name, address] :
       {std::pair("rangeStart", spec.start), std::pair("rangeEnd", spec.end)}) {
    if (address.has_value() && !spec.subnet.Contains(*address)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s %s is not in subnet %s", name,
                          address->ToString(), spec.subnet.ToString()));
    }
  }
  IpAddress last = network.LastOf(spec.subnet.length);
  Range range;
  range.subnet_ = spec.subnet;
  range.start_ = spec.start.value_or(network.Next());
  // IPv4's last address is the broadcast address.
  range.end_ = spec.end.value_or(network.is_v6() ? last : last.Previous());
  range.gateway_ = spec.gateway.value_or(network.Next());
  if (range.end_ < range.start_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("rangeEnd %s is before rangeStart %s",
                        range.end_.ToString(), range.start_.ToString()));
  }
  return range;
}

bool Range::Contains(const IpAddress& address) const {
  return address.family() == start_.family() && start_ <= address &&
         address <= end_;
}

bool Range::Overlaps(const Range& other) const {
  return Contains(other.start_) || other.Contains(start_);
}

std::string Range::ToString() const {
  return absl::StrCat(start_.ToString(), "-", end_.ToString());
}

absl::StatusOr<RangeSet> RangeSet::Create(std::vector<Range> ranges) {
  if (ranges.empty()) {
    return absl::InvalidArgumentError("empty range set");
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].start().is_v6() != ranges[0].start().is_v6()) {
      return absl::InvalidArgumentError("mixed address families");
    }
    for (size_t j = 0; j < i; ++j) {
      if (ranges[i].Overlaps(ranges[j])) {
        return absl::InvalidArgumentError(
            absl::StrFormat("ranges %s and %s overlap", ranges[j].ToString(),
                            ranges[i].ToString()));
      }
    }
  }
  return RangeSet(std::move(ranges));
}

const Range* RangeSet::Find(const IpAddress& address) const {
  auto found =
      std::find_if(ranges_.begin(), ranges_.end(),
                   [&](const Range& range) { return range.Contains(address); });
  return found == ranges_.end() ? nullptr : &*found;
}

bool RangeSet::Overlaps(const RangeSet& other) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return std::any_of(
        other.ranges_.begin(), other.ranges_.end(),
        [&](const Range& theirs) { return range.Overlaps(theirs); });
  });
}

std::string RangeSet::ToString() const {
  return absl::StrJoin(ranges_, ",", [](std::string* out, const Range& range) {
    out->append(range.ToString());
  });
}

}  // namespace davit
