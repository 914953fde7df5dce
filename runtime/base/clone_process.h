#ifndef DAVIT_RUNTIME_BASE_CLONE_PROCESS_H_
#define DAVIT_RUNTIME_BASE_CLONE_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A copy of the calling process, as by fork(2) but without the handlers of
// pthread_atfork(3). `flags` are those of clone3(2), without CLONE_VM and
// CLONE_PIDFD. It starts in the v2 cgroup whose directory is open as `cgroup`;
// -1 is ours. A process that is moved later waits for a grace period of RCU,
// some 8 ms, and all changes of cgroups on the machine wait with it.
//
// Returns its pid, and 0 in the child, in which only the calling thread goes
// on; -1 with errno. A pidfd of the child is stored in `*pidfd` unless null.
pid_t CloneProcess(uint64_t flags, int cgroup, UniqueFd* pidfd);

// A program to start, prepared so that the child need not allocate.
struct ProgramStart {
  const char* path = nullptr;    // absolute
  std::vector<char*> argv, env;  // each ends with a null pointer
  // Descriptors that it gets: {ours, the number it sees}. Ours are above all
  // numbers that it sees; no others are passed on.
  std::vector<std::pair<int, int>> fds;
};

// Starts a program in a v2 cgroup (clone3(2), CLONE_INTO_CGROUP, for which
// posix_spawn(3) has no attribute before glibc 2.39) and a session of its own,
// with all signals at their defaults and unblocked. Returns its pid once it is
// executed. Thread-safe.
absl::StatusOr<pid_t> StartInCgroup(int cgroup, const ProgramStart& program);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_CLONE_PROCESS_H_
