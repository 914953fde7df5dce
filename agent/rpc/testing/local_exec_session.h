#ifndef DAVIT_AGENT_RPC_TESTING_LOCAL_EXEC_SESSION_H_
#define DAVIT_AGENT_RPC_TESTING_LOCAL_EXEC_SESSION_H_

#include <sys/types.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/exec.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {

// An ExecSession whose command runs on this machine, as we are, on pipes or a
// pty of its own: for tests of what uses one. argv[0] is a path. `alive` counts
// sessions that exist, so that a test can see that none is left.
class LocalExecSession : public ExecSession {
 public:
  static absl::StatusOr<std::unique_ptr<ExecSession>> Start(
      const ExecRequest& request);
  static int alive();

  ~LocalExecSession() override;

  int stdin_fd() const override { return stdin_.get(); }
  int stdout_fd() const override { return stdout_.get(); }
  int stderr_fd() const override { return stderr_.get(); }
  void CloseStdin() override { stdin_.Reset(); }
  absl::Status Resize(unsigned rows, unsigned columns) override;
  absl::Status Kill(int signal) override;
  int wait_fd() const override { return pidfd_.get(); }
  absl::StatusOr<int> Wait(absl::Duration timeout) override;

 private:
  LocalExecSession();
  absl::Status Spawn(const ExecRequest& request);

  UniqueFd stdin_, stdout_, stderr_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  bool reaped_ = false;
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_RPC_TESTING_LOCAL_EXEC_SESSION_H_
