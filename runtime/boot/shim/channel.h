#ifndef DAVIT_RUNTIME_BOOT_SHIM_CHANNEL_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CHANNEL_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What the shim and the PID 1 to be say to each other before the exec.
enum class ChannelTag : char {
  kConsole = 'c',     // fd: master of the pod's console
  kNotify = 'n',      // fd: the notify socket
  kFifo = 'k',        // fd: a fifo to hold open
  kTty = 't',         // fd: master of one more pty
  kInit = 'i',        // text: PID 1's pid on the host; fd: its pidfd
  kMountsDone = 'm',  // the tree is ready; waits for kExec
  kExec = 'x',        // shim to child: the device policy is in place
  kError = 'e',       // text: code and message
};

struct ChannelMessage {
  ChannelTag tag = ChannelTag::kError;
  std::string text;
  UniqueFd fd;
};

// One end of a socket pair that carries tagged packets and descriptors. Blocks.
// Closed by a successful exec, which is how the other side learns of it.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}
  static absl::StatusOr<std::pair<Channel, Channel>> MakePair();

  // Moves our descriptor to `lowest` or above, out of the way of numbers that
  // somebody else wants.
  absl::Status MoveAbove(int lowest);

  absl::Status Send(ChannelTag tag, absl::string_view text = "", int fd = -1);
  // The status of a failed step, for Receive's caller to return as its own.
  void SendError(const absl::Status& error);

  // OutOfRange when the other side has closed. A kError message is returned as
  // the status that it carries.
  absl::StatusOr<ChannelMessage> Receive();
  // A message that must have this tag.
  absl::StatusOr<ChannelMessage> Expect(ChannelTag tag);

 private:
  UniqueFd socket_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CHANNEL_H_
