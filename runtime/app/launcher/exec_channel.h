#ifndef DAVIT_RUNTIME_APP_LAUNCHER_EXEC_CHANNEL_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_EXEC_CHANNEL_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/app/plan_codec.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What the owner of a session sent: the plan and the command's streams.
struct ExecJob {
  ExecPlan plan;
  UniqueFd stdin_fd;  // none: /dev/null
  UniqueFd stdout_fd;
  UniqueFd stderr_fd;
  UniqueFd tty_fd;  // with a tty instead of the others: its slave side
};

// Receives the first datagram of a session: descriptors (the plan in a memfd,
// then the streams in the order above) beside one byte.
absl::StatusOr<ExecJob> ReceiveExecJob(int channel);

absl::Status SendExecReply(int channel, const ExecReply& reply);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_EXEC_CHANNEL_H_
