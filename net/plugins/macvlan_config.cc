#include "net/plugins/macvlan_config.h"

#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr MacvlanMode kModes[] = {MacvlanMode::kBridge, MacvlanMode::kPrivate,
                                  MacvlanMode::kVepa, MacvlanMode::kPassthru};

absl::StatusOr<MacvlanMode> ParseMode(const std::string& text) {
  if (text.empty()) return MacvlanMode::kBridge;
  for (MacvlanMode mode : kModes) {
    if (text == MacvlanModeName(mode)) return mode;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("unknown macvlan mode: \"%s\"", text));
}

}  // namespace

absl::string_view MacvlanModeName(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::kPrivate:
      return "private";
    case MacvlanMode::kVepa:
      return "vepa";
    case MacvlanMode::kBridge:
      return "bridge";
    case MacvlanMode::kPassthru:
      return "passthru";
  }
  return "unknown";
}

absl::StatusOr<MacvlanConfig> ParseMacvlanConfig(const PluginRequest& request) {
  MacvlanConfig config;
  const JsonObject& json = request.config;
  RETURN_IF_ERROR(json.Read("master", &config.master));
  if (!config.master.empty()) {
    RETURN_IF_ERROR(CheckInterfaceName("master", config.master));
  }
  std::string mode;
  RETURN_IF_ERROR(json.Read("mode", &mode));
  ASSIGN_OR_RETURN(config.mode, ParseMode(mode));
  RETURN_IF_ERROR(json.Read("linkInContainer", &config.link_in_container));
  std::optional<int64_t> queue;
  RETURN_IF_ERROR(json.Read("bcqueuelen", &queue));
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  if (queue.value_or(0) < 0 || queue.value_or(0) > kMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("bcqueuelen: %d is not in 0..%d", *queue, kMax));
  }
  config.broadcast_queue = static_cast<uint32_t>(queue.value_or(0));
  ASSIGN_OR_RETURN(config.interface,
                   ParseInterfaceConfig(request, MacKey::kRead));
  return config;
}

}  // namespace davit
