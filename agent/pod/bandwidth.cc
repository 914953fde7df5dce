#include "agent/pod/bandwidth.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr uint64_t kMinRate = 1000;              // 1k
constexpr uint64_t kMaxRate = 1000000000000000;  // 1P
constexpr uint64_t kMinBurst = uint64_t{64} * 1024 * 8;
// tc-tbf(8) and the CNI plugin hold a burst, in bytes, in 32 bits.
constexpr uint64_t kMaxBurst = uint64_t{UINT32_MAX} * 8 - 8;

constexpr std::pair<absl::string_view, double> kSuffixes[] = {
    {"Ki", 1024.0},
    {"Mi", 1024.0 * 1024},
    {"Gi", 1024.0 * 1024 * 1024},
    {"Ti", 1024.0 * 1024 * 1024 * 1024},
    {"Pi", 1024.0 * 1024 * 1024 * 1024 * 1024},
    {"m", 1e-3},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"P", 1e15},
};

absl::Status NoQuantity(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text,
                   "\" is not a quantity (a number with a suffix like k, M, G, "
                   "Ki, Mi, Gi)"));
}

// Sets rate and burst if the annotation is there.
absl::Status ReadLimit(const std::map<std::string, std::string>& annotations,
                       const char* name, uint64_t& rate, uint64_t& burst) {
  auto it = annotations.find(name);
  if (it == annotations.end()) return absl::OkStatus();
  std::string path = absl::StrCat("metadata.annotations[\"", name, "\"]");
  ASSIGN_OR_RETURN(rate, ParseQuantity(it->second), path);
  if (rate < kMinRate || rate > kMaxRate) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": \"", it->second, "\" is not between 1k and 1P"));
  }
  burst = std::clamp(rate / 10, kMinBurst, kMaxBurst);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> ParseQuantity(absl::string_view text, int parts) {
  absl::string_view number = text;
  double factor = 1;
  for (const auto& [suffix, value] : kSuffixes) {
    if (!absl::EndsWith(text, suffix)) continue;
    number.remove_suffix(suffix.size());
    factor = value;
    break;
  }
  // SimpleAtod knows more spellings than a quantity has ("inf", "0x10", " 1").
  bool plain =
      !number.empty() && std::all_of(number.begin(), number.end(), [](char c) {
        return absl::ascii_isdigit(c) || absl::StrContains("+-.eE", c);
      });
  double value = 0;
  if (!plain || !absl::SimpleAtod(number, &value)) return NoQuantity(text);
  value *= factor * parts;
  // 0.29 * 1000 is not quite 290.
  double nearest = std::round(value);
  value = std::abs(value - nearest) < 1e-6 ? nearest : std::ceil(value);
  if (value < 0 || value >= 9223372036854775808.0) return NoQuantity(text);
  return static_cast<uint64_t>(value);
}

absl::StatusOr<BandwidthLimits> BandwidthOf(
    const std::map<std::string, std::string>& annotations) {
  BandwidthLimits limits;
  RETURN_IF_ERROR(ReadLimit(annotations, kIngressBandwidth, limits.ingress_rate,
                            limits.ingress_burst));
  RETURN_IF_ERROR(ReadLimit(annotations, kEgressBandwidth, limits.egress_rate,
                            limits.egress_burst));
  return limits;
}

}  // namespace davit
