#include "runtime/base/process_id.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<ProcessIdentity> IdentifyProcess(pid_t pid) {
  std::string path = absl::StrCat("/proc/", pid, "/stat");
  absl::StatusOr<std::string> read = ReadFile(path);
  // A process that ends while it is read gives ESRCH instead of ENOENT.
  if (!read.ok()) {
    return absl::NotFoundError(
        absl::StrCat("no process ", pid, ": ", read.status().message()));
  }
  // The command in parentheses may hold spaces and parentheses itself.
  size_t end = read->rfind(')');
  std::vector<absl::string_view> fields;
  if (end != std::string::npos) {
    fields = absl::StrSplit(absl::string_view(*read).substr(end + 1), ' ',
                            absl::SkipEmpty());
  }
  constexpr size_t kStartTime = 22 - 3;  // counted from the field after ")"
  ProcessIdentity identity;
  identity.pid = pid;
  if (fields.size() <= kStartTime ||
      !absl::SimpleAtoi(fields[kStartTime], &identity.start_time)) {
    return absl::InternalError(absl::StrCat("cannot parse ", path));
  }
  return identity;
}

absl::StatusOr<ProcessHandle> ProcessHandle::Open(
    const ProcessIdentity& identity) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!fd) {
    if (errno == ESRCH || errno == EINVAL) {
      return absl::NotFoundError(absl::StrCat("no process ", identity.pid));
    }
    return ErrnoError("pidfd_open(%d)", identity.pid);
  }
  // Checked after the pidfd is held: from here on the pid cannot be reused
  // unnoticed.
  ASSIGN_OR_RETURN(ProcessIdentity now, IdentifyProcess(identity.pid));
  if (now != identity) {
    return absl::NotFoundError(
        absl::StrCat("process ", identity.pid, " is another one now"));
  }
  return ProcessHandle(identity, std::move(fd));
}

bool ProcessHandle::IsAlive() const {
  pollfd p = {pidfd_.get(), POLLIN, 0};
  return poll(&p, 1, 0) == 0;
}

absl::Status ProcessHandle::Signal(int signal) const {
  if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) < 0) {
    if (errno == ESRCH) {
      return absl::NotFoundError(
          absl::StrCat("process ", identity_.pid, " has exited"));
    }
    return ErrnoError("pidfd_send_signal(%d, %d)", identity_.pid, signal);
  }
  return absl::OkStatus();
}

absl::Status ProcessHandle::WaitForExit(absl::Duration timeout) const {
  absl::Time deadline = absl::Now() + timeout;
  while (true) {
    absl::Duration left =
        std::max(deadline - absl::Now(), absl::ZeroDuration());
    int ms = static_cast<int>(
        std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30));
    pollfd p = {pidfd_.get(), POLLIN, 0};
    int n = poll(&p, 1, ms);
    if (n > 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return ErrnoError("poll(pidfd)");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("process ", identity_.pid, " still runs after ",
                       absl::FormatDuration(timeout)));
    }
  }
}

}  // namespace davit
