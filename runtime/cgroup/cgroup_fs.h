#ifndef DAVIT_RUNTIME_CGROUP_CGROUP_FS_H_
#define DAVIT_RUNTIME_CGROUP_CGROUP_FS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"

// Operations on single cgroup directories; no idea of pods.

namespace davit {

// Every process at and below `directory`. Empty if it is absent.
absl::StatusOr<std::vector<pid_t>> ListProcesses(const std::string& directory);

// rmdir of `directory` and everything below it, however deep. OK if absent.
// FailedPrecondition if a process is left in it.
absl::Status RemoveCgroupTree(const std::string& directory);

// The value of `key` in a "key value" file (memory.events); NotFound.
absl::StatusOr<int64_t> ReadKey(const std::string& path,
                                const std::string& key);
// A file that holds one number.
absl::StatusOr<int64_t> ReadNumber(const std::string& path);

// v2: waits by poll(2) on cgroup.events until no process is left.
// DeadlineExceeded. OK if the directory is absent or goes away.
absl::Status WaitUnpopulated(const std::string& directory, absl::Time deadline);
// v2: the same until all processes are frozen.
absl::Status WaitFrozen(const std::string& directory, absl::Time deadline);
// v1: writes FROZEN and waits until that is so. DeadlineExceeded.
absl::Status FreezeV1(const std::string& directory, absl::Time deadline);

// Sends SIGKILL to all of `pids`; returns pidfds of those that are still there.
std::vector<UniqueFd> SendKill(const std::vector<pid_t>& pids);
// Waits until all of `pidfds` have ended. DeadlineExceeded.
absl::Status WaitForEnds(const std::vector<UniqueFd>& pidfds,
                         absl::Time deadline);

// v2: enables every available controller for the children of `directory`.
// FailedPrecondition if processes sit in it.
absl::Status HandDownControllers(const std::string& directory);

// v1 cpuset: a new directory has no CPUs and memory nodes and refuses tasks
// until it gets its parent's.
absl::Status InheritCpuset(const std::string& directory);
// v1 cpuset: gives a directory all the CPUs of its parent.
absl::Status LiftCpuset(const std::string& directory);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_CGROUP_FS_H_
