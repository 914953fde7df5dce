#ifndef DAVIT_RUNTIME_BOOT_SHIM_STATE_H_
#define DAVIT_RUNTIME_BOOT_SHIM_STATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/process_id.h"
#include "runtime/boot/launcher.h"

namespace davit {

// What a shim knows of its pod: what it sends on its control socket and writes
// to shim.json.
struct ShimState {
  ProcessIdentity shim;
  ProcessIdentity init;
  std::vector<BootPhase> phases;
  bool ready = false;
  std::string status;  // last STATUS= of the pod's systemd
  // PID 1 has ended, and with it all processes of its PID namespace.
  bool init_ended = false;
  std::optional<PodExit> exit;  // PID 1 has ended and nothing is left of it
  absl::Status failure;         // of the start; then all else is empty
};

// proto/internal/launch/v1/shim_control.proto. DataLoss if it is no such
// message.
std::string EncodeShimState(const ShimState& state);
absl::StatusOr<ShimState> DecodeShimState(absl::string_view bytes);

// What an agent asks of a shim.
struct ShimCommand {
  enum class Kind { kStop, kAttach, kResize };
  Kind kind = Kind::kStop;
  absl::Duration grace = absl::ZeroDuration();  // kStop
  uint16_t rows = 0, columns = 0;               // kResize
};

// Never empty, as packets must not be. DataLoss if it is no command that we
// know.
std::string EncodeShimCommand(const ShimCommand& command);
absl::StatusOr<ShimCommand> DecodeShimCommand(absl::string_view bytes);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_STATE_H_
