#ifndef DAVIT_RUNTIME_BASE_SUBPROCESS_H_
#define DAVIT_RUNTIME_BASE_SUBPROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit {

// What to run, as values. Nothing is inherited but what is named here: all
// other descriptors are closed in the child, signals are reset to default and
// unblocked.
struct SubprocessSpec {
  std::string path;               // absolute; no $PATH look-up
  std::vector<std::string> argv;  // argv[0] included
  std::vector<std::string> env;   // the whole environment, "K=V"
  std::string stdin_data;         // fed to the child's standard input
  // Descriptors that the child gets: {ours, the number it sees}. 0-2 are taken
  // by pipes in RunSubprocess and may be mapped in StartDetached.
  std::vector<std::pair<int, int>> fds;
  // Run in this network namespace: an open nsfs descriptor, or -1 for ours.
  // The switch is made by a thread made for it, never on the caller's.
  int netns_fd = -1;
  // Start in this v2 cgroup: its open directory, or -1 for ours. StartDetached
  // only.
  int cgroup_fd = -1;
  absl::Duration timeout = absl::InfiniteDuration();
  size_t output_limit = 4 << 20;  // per stream; more is an error
};

struct SubprocessResult {
  // As waitpid(2) gives it: use WIFEXITED and friends.
  int wait_status = 0;
  std::string out;
  std::string err;
  bool ExitedWith(int code) const;
  // "exited with 3", "killed by signal 9 (Killed)".
  std::string DescribeExit() const;
};

// Runs a program to its end in a process group of its own. On timeout or too
// much output the whole group is killed and reaped; then DeadlineExceeded or
// ResourceExhausted. NotFound or PermissionDenied if it cannot be executed. A
// non-zero exit is not an error here: look at the result. Thread-safe.
absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessSpec& spec);

// Starts a program in a session of its own that outlives us; stdin, stdout and
// stderr are /dev/null unless `fds` maps them. Returns its pid, still our
// child: the caller reaps it. stdin_data, timeout and output_limit are ignored.
absl::StatusOr<pid_t> StartDetached(const SubprocessSpec& spec);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_SUBPROCESS_H_
