#include "net/plugins/bandwidth_config.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/plugins/sha512.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr double kMicrosecondsPerSecond = 1e6;
constexpr double kQueueMicroseconds = 25e3;
constexpr size_t kMaxNameLength = 15;  // IFNAMSIZ - 1

absl::Status ReadNumber(const JsonObject& object, const std::string& key,
                        uint64_t* out) {
  std::optional<int64_t> value;
  RETURN_IF_ERROR(object.Read(key, &value));
  if (value.value_or(0) < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %d is negative", object.PathOf(key), *value));
  }
  *out = static_cast<uint64_t>(value.value_or(0));
  return absl::OkStatus();
}

// `prefix` is "ingress" or "egress".
absl::StatusOr<std::optional<BandwidthLimit>> ReadLimit(
    const JsonObject& object, const std::string& prefix) {
  const std::string rate = prefix + "Rate", burst = prefix + "Burst";
  BandwidthLimit limit;
  RETURN_IF_ERROR(ReadNumber(object, rate, &limit.rate));
  RETURN_IF_ERROR(ReadNumber(object, burst, &limit.burst));
  if (limit == BandwidthLimit()) return std::optional<BandwidthLimit>();
  if (limit.rate == 0 || limit.burst == 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: must be set if %s is", object.PathOf(limit.rate ? burst : rate),
        object.PathOf(limit.rate ? rate : burst)));
  }
  if (limit.rate < 8) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %d is less than a byte", object.PathOf(rate), limit.rate));
  }
  if (limit.burst / 8 >= std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: cannot be more than 4 GiB", object.PathOf(burst)));
  }
  return std::optional<BandwidthLimit>(limit);
}

bool HasAny(const JsonObject& object) {
  return object.Has("ingressRate") || object.Has("ingressBurst") ||
         object.Has("egressRate") || object.Has("egressBurst");
}

uint32_t Clamp(double value) {
  constexpr double kMax = std::numeric_limits<uint32_t>::max();
  return static_cast<uint32_t>(std::min(value, kMax));
}

}  // namespace

absl::StatusOr<BandwidthConfig> ParseBandwidthConfig(
    const PluginRequest& request) {
  std::optional<JsonObject> object = request.config;
  if (!HasAny(request.config)) {
    ASSIGN_OR_RETURN(object, request.config.Object("runtimeConfig"));
    if (object.has_value()) {
      ASSIGN_OR_RETURN(object, object->Object("bandwidth"));
    }
  }
  BandwidthConfig config;
  if (object.has_value()) {
    ASSIGN_OR_RETURN(config.ingress, ReadLimit(*object, "ingress"));
    ASSIGN_OR_RETURN(config.egress, ReadLimit(*object, "egress"));
  }
  return config;
}

TokenBucket MakeTokenBucket(const BandwidthLimit& limit) {
  const auto burst = static_cast<uint32_t>(limit.burst / 8);
  TokenBucket bucket;
  bucket.rate = limit.rate / 8;
  const auto rate = static_cast<double>(bucket.rate);
  // Whole microseconds first, as Go's plugin has them.
  const uint32_t time = Clamp(burst * kMicrosecondsPerSecond / rate);
  bucket.buffer = Clamp(time * kPschedTicksPerMicrosecond);
  const uint32_t queue =
      Clamp(rate * kQueueMicroseconds / kMicrosecondsPerSecond);
  bucket.limit = Clamp(static_cast<double>(queue) + burst);
  return bucket;
}

std::string IfbName(const std::string& network,
                    const std::string& container_id) {
  return absl::StrCat("bwp", Sha512Hex(network + container_id))
      .substr(0, kMaxNameLength);
}

}  // namespace davit
