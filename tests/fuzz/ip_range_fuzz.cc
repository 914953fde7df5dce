// Addresses, prefixes and ranges: each line is "SUBNET [START [END
// [GATEWAY]]]", and the lines are one set.

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "net/ipam/allocator.h"
#include "net/ipam/range.h"
#include "tests/fuzz/fuzz.h"

namespace davit {
namespace {

constexpr int kMaxVisits = 300;

std::optional<IpAddress> ParseAddress(absl::string_view text) {
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) return std::nullopt;
  absl::StatusOr<IpAddress> again = IpAddress::Parse(address->ToString());
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(*again == *address);
  FUZZ_CHECK(address->Next().Previous() == *address);
  return *address;
}

std::optional<Range> ParseRange(absl::string_view line) {
  std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  absl::StatusOr<IpPrefix> subnet = IpPrefix::Parse(words[0]);
  if (!subnet.ok()) return std::nullopt;
  FUZZ_CHECK(subnet->length >= 0 && subnet->length <= subnet->address.bits());
  FUZZ_CHECK(*IpPrefix::Parse(subnet->ToString()) == *subnet);
  FUZZ_CHECK(subnet->Contains(subnet->address));
  RangeSpec spec{*subnet, {}, {}, {}};
  if (words.size() > 1) spec.start = ParseAddress(words[1]);
  if (words.size() > 2) spec.end = ParseAddress(words[2]);
  if (words.size() > 3) spec.gateway = ParseAddress(words[3]);
  absl::StatusOr<Range> range = Range::Create(spec);
  if (!range.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(range.status()));
    return std::nullopt;
  }
  FUZZ_CHECK(range->Contains(range->start()));
  FUZZ_CHECK(range->Contains(range->end()));
  FUZZ_CHECK(range->start() <= range->end());
  FUZZ_CHECK(range->subnet().Contains(range->start()));
  FUZZ_CHECK(range->subnet().Contains(range->end()));
  FUZZ_CHECK(range->Overlaps(*range));
  return *range;
}

void Walk(const RangeSet& set, const std::optional<IpAddress>& last) {
  int visits = 0;
  std::optional<IpAddress> first;
  ForEachCandidate(set, last, [&](const IpAddress& ip, const Range& range) {
    FUZZ_CHECK(range.Contains(ip));
    FUZZ_CHECK(set.Find(ip) != nullptr);
    FUZZ_CHECK(ip != range.gateway());
    FUZZ_CHECK(ip != first);  // each once
    if (!first.has_value()) first = ip;
    return ++visits < kMaxVisits;
  });
}

}  // namespace
}  // namespace davit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<Range> ranges;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ParseAddress(line);
    if (auto range = ParseRange(line); range.has_value()) {
      ranges.push_back(*range);
    }
  }
  absl::StatusOr<RangeSet> set = RangeSet::Create(ranges);
  if (!set.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(set.status()));
    return 0;
  }
  FUZZ_CHECK(set->Overlaps(*set));
  Walk(*set, std::nullopt);
  Walk(*set, ranges.back().end());
  Walk(*set, ranges.front().start().Previous());
  return 0;
}
