#ifndef DAVIT_RUNTIME_BASE_PROCESS_ID_H_
#define DAVIT_RUNTIME_BASE_PROCESS_ID_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What may be written to disk about a process: its pid with its start time in
// clock ticks since boot (field 22 of /proc/PID/stat, proc(5)). The pair is
// unique until the next boot; a bare pid is not.
struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_time = 0;
  bool operator==(const ProcessIdentity&) const = default;
};

// Reads the identity of a live process. NotFound if there is none.
absl::StatusOr<ProcessIdentity> IdentifyProcess(pid_t pid);

// A hold on one process by pidfd_open(2): never signals a stranger that got
// the same pid. Safe to use from several threads.
class ProcessHandle {
 public:
  // NotFound if the process is gone or its pid now belongs to another.
  static absl::StatusOr<ProcessHandle> Open(const ProcessIdentity& identity);

  const ProcessIdentity& identity() const { return identity_; }
  // Readable (poll(2)) once the process has exited.
  int pidfd() const { return pidfd_.get(); }

  bool IsAlive() const;
  // NotFound if it has exited already.
  absl::Status Signal(int signal) const;
  // Waits for the exit, of any process, not only of children. DeadlineExceeded.
  absl::Status WaitForExit(absl::Duration timeout) const;

 private:
  ProcessHandle(ProcessIdentity identity, UniqueFd pidfd)
      : identity_(identity), pidfd_(std::move(pidfd)) {}
  ProcessIdentity identity_;
  UniqueFd pidfd_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_PROCESS_ID_H_
