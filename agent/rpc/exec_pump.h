#ifndef DAVIT_AGENT_RPC_EXEC_PUMP_H_
#define DAVIT_AGENT_RPC_EXEC_PUMP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/rpc/exec_input.h"
#include "runtime/app/exec.h"

namespace davit {

// The other side of a running command, as the pump needs it. Called on the
// pump's thread only; none of the calls blocks.
class ExecClient {
 public:
  virtual ~ExecClient() = default;

  // Readable (poll(2)) when one of the answers below may have changed; Settle
  // resets it.
  virtual int wake_fd() const = 0;
  virtual void Settle() = 0;

  virtual bool gone() = 0;           // nobody waits for an answer any more
  virtual absl::Status fault() = 0;  // what the client did wrong, else OK
  virtual bool writable() = 0;       // the last Send has been taken
  virtual void Send(bool is_stderr, absl::string_view data) = 0;

  // Standard input that came, and its end when there is no more to come.
  virtual std::string TakeData() = 0;
  virtual bool AtEof() = 0;
  virtual std::optional<ExecInput::Size> TakeSize() = 0;
};

// Moves bytes between a command and its client until the command has ended and
// its output has been sent; returns its exit code. Children that the command
// leaves behind may hold its output open: then silence is taken for its end.
// Cancelled when the client is gone. One thread; SIGPIPE must be ignored.
absl::StatusOr<int> PumpExec(ExecSession& session, ExecClient& client);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_EXEC_PUMP_H_
