#include "runtime/boot/shim_console.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/shim_process.h"
#include "runtime/boot/shim_state.h"

namespace davit {
namespace {

class ConsoleSession : public ExecSession {
 public:
  ConsoleSession(UniqueFd control, UniqueFd stream, bool typing)
      : control_(std::move(control)),
        stream_(std::move(stream)),
        typing_(typing) {}

  int stdin_fd() const override { return typing_ ? stream_.get() : -1; }
  int stdout_fd() const override { return stream_.get(); }
  int stderr_fd() const override { return -1; }
  int wait_fd() const override { return control_.get(); }

  void CloseStdin() override {
    typing_ = false;
    shutdown(stream_.get(), SHUT_WR);
  }

  absl::Status Resize(unsigned rows, unsigned columns) override {
    constexpr unsigned kMost = UINT16_MAX;  // ioctl_tty(2)
    return SendPacket(
        control_.get(),
        EncodeShimCommand(
            {.kind = ShimCommand::Kind::kResize,
             .rows = static_cast<uint16_t>(std::min(rows, kMost)),
             .columns = static_cast<uint16_t>(std::min(columns, kMost))}));
  }

  absl::Status Kill(int) override {
    return absl::FailedPreconditionError("a console is no command to signal");
  }

  // The shim's end closes the connection; until then it tells of changes.
  absl::StatusOr<int> Wait(absl::Duration timeout) override {
    absl::Time deadline = absl::Now() + timeout;
    while (true) {
      absl::Status received = ReceivePacket(control_.get()).status();
      if (received.ok()) continue;
      if (!absl::IsUnavailable(received)) return 0;
      int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
      if (left <= 0) return absl::DeadlineExceededError("the pod still runs");
      pollfd event = {control_.get(), POLLIN, 0};
      poll(&event, 1, static_cast<int>(std::min<int64_t>(left, INT32_MAX)));
    }
  }

 private:
  const UniqueFd control_;
  const UniqueFd stream_;
  bool typing_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ExecSession>> ConnectToConsole(
    const std::string& shim_socket, bool typing, absl::Duration timeout) {
  ASSIGN_OR_RETURN(ShimProcess shim, ShimProcess::Connect(shim_socket));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) <
      0) {
    return ErrnoError("socketpair(AF_UNIX, SOCK_STREAM)");
  }
  UniqueFd ours(ends[0]), theirs(ends[1]);
  RETURN_IF_ERROR(shim.Attach(theirs.get()), "attach to shim");
  theirs.Reset();
  // What it says to everybody who connects, and its answer.
  RETURN_IF_ERROR(shim.AwaitState(timeout).status());
  absl::Status answer = shim.AwaitState(timeout).status();
  if (absl::IsAborted(answer)) {
    return absl::FailedPreconditionError(
        "the pod's shim is of an older agent, which let nobody attach to the "
        "console: restart the pod");
  }
  RETURN_IF_ERROR(answer);
  return std::make_unique<ConsoleSession>(std::move(shim).Release().socket,
                                          std::move(ours), typing);
}

}  // namespace davit
